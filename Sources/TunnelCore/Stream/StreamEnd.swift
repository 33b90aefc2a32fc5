import Mux
import NIOCore

/// This end's side of a stream: a socket, or a request that is relayed. The session loop reports to it what the stream
/// brings, and it hands the session what the stream takes.
///
/// It lives on the session's event loop.
package protocol StreamEnd: AnyObject {
    /// Whether the stream or its other side is still missing.
    var isPending: Bool { get }
    /// Whether the service is still being connected to.
    var isConnecting: Bool { get }
    /// The stream is there.
    func begin(_ id: StreamID)
    /// The peer has accepted this end's stream.
    func accepted()
    /// The stream has brought bytes; true if a flush is newly due.
    func deliver(_ bytes: ByteBuffer) -> Bool
    /// The stream brings nothing more; true if a flush is newly due.
    func endOutput() -> Bool
    /// Performs the flush that was due.
    func flush()
    /// The stream takes no more bytes for now.
    func pauseReading()
    /// The stream takes bytes again.
    func resumeReading()
    /// Both directions have ended in order.
    func detach()
    /// The stream was reset: the delivered bytes go on first.
    func reset(_ code: ResetCode)
    /// The stream is gone at once.
    func abort(_ code: ResetCode)
}

extension StreamPipe: StreamEnd {}
