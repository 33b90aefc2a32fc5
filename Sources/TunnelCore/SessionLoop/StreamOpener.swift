import Mux
import NIOCore

/// Opens streams in a client's session, on the session's event loop.
package protocol StreamOpener: AnyObject {
    /// The session.
    var sessionLoop: SessionLoop { get }

    /// Opens a stream for an end, or lets it wait within bounds while the session has no carrier or no room. An end that
    /// waits too long is reset.
    func open(_ end: any StreamEnd, _ request: OpenRequest)
}

/// Dials other servers of a cluster, as their client.
package protocol PeerDialler: Sendable {
    /// Keeps one session at a server until it fails or is closed.
    ///
    /// - Parameters:
    ///   - url: the server's URL for other servers.
    ///   - owner: learns of the session; on its event loop, which is the session's too.
    func connect(to url: String, _ owner: NIOLoopBound<any PeerConnectionOwner>) -> any PeerConnection
}

/// A session at another server, or the attempt to begin one.
package protocol PeerConnection: Sendable {
    /// Ends the session and its streams.
    func close()
}

/// The owner of a session at another server.
package protocol PeerConnectionOwner: AnyObject {
    /// A session has begun, or continues on another carrier.
    func connectionBegan(_ opener: any StreamOpener)
    /// The session is over, or the server was not reached. Called once.
    func connectionEnded(_ reason: String)
}
