import Mux
import NIOCore
import NetworkAddress
import TunnelCore

/// The visitors that the router brings.
extension VisitorAdmission {
    /// Opens a stream for a visitor, makes it pending, or refuses it.
    ///
    /// - Parameter onEnd: called once the stream is gone.
    func open(_ visitor: RoutedVisitor, _ link: VisitorLink, at number: UInt16, onEnd: @escaping () -> Void) {
        guard let tunnel = self[number], !sessionLoop.isEnded, ports.isOpen else {
            onEnd()
            return link.visitor.send { $0.failed(.unavailable) }
        }
        // These visitors wait in no listen queue.
        if pending.isFull, !sessionLoop.hasCarrier || pending.hasVisitors(at: number) {
            note(.tooMany, of: visitor.description)
            onEnd()
            return link.visitor.send { $0.failed(.unavailable) }
        }
        let shortage = tunnel.isHealthy ? quota.shortage(rules.limits, isCounted: false) : .unhealthy
        if let refusal = shortage ?? tunnel.gate.admit(visitor.address, now: clock.now()) {
            note(refusal, of: visitor.description)
            onEnd()
            return link.visitor.send { $0.failed(.refused(refusal)) }
        }
        var request = OpenRequest(tunnel: number, visitor: visitor.description)
        if tunnel.request.visitors.wantsPublicAddress { request.publicAddress = visitor.publicAddress }
        quota.countStream(1)
        let stream = RoutedStream(
            sessionLoop,
            link,
            policy: tunnel.streamPolicy(bandwidth.limit),
            identity: StreamIdentity(visitor: visitor.description, statistics: tunnel.statistics),
            logger: logger
        ) { [quota, weak self] in
            tunnel.gate.left()
            quota.countStream(-1)
            self?.routed[link.id] = nil
            onEnd()
        }
        stream.reportsBeginning = visitor.isFromServer
        routed[link.id] = stream
        link.session.set(stream)
        openStream(stream, request)
        link.visitor.send { $0.joined() }
    }

    /// Lets the streams of a tunnel end with their present requests; of all tunnels if it is nil. Otherwise visitors'
    /// connections that wait for a request would hold up the end of the session.
    func releaseStreams(of tunnel: UInt16? = nil) {
        for stream in Array(routed.values) where tunnel == nil || stream.identity.statistics.tunnel == tunnel {
            stream.release()
        }
    }
}
