import Logging
import Mux
import NIOCore
import TunnelCore

/// Connects each visitor's stream to the service of its tunnel.
extension ClientSession {
    func session(_ sessionLoop: SessionLoop, open stream: StreamID, _ visit: OpenRequest) {
        guard let tunnel = tunnel(visit.tunnel) else { return sessionLoop.run(.reset(stream, .noSuchTunnel)) }
        let spec = tunnel.spec
        guard visit.kind == spec.kind else { return sessionLoop.run(.reset(stream, .refused)) }
        guard !loops.isLoop(visit) else {
            logger.warning(
                "a tunnel leads to a public port of its own; the visitor is refused",
                metadata: ["tunnel": "\(spec)", "visitor": "\(visit.visitor)"]
            )
            return sessionLoop.run(.reset(stream, .refused))
        }
        switch tunnel.way {
        case .egress(let egress): connect(stream, visit, tunnel, egress)
        case .flows(let host, let port): openFlow(stream, visit, tunnel.statistics, host, port)
        case .socks: readSocksRequest(stream, pipe(stream, visit, tunnel))
        }
    }

    private func pipe(_ stream: StreamID, _ visit: OpenRequest, _ tunnel: Tunnel) -> StreamPipe {
        let identity = StreamIdentity(visitor: visit.visitor, statistics: tunnel.statistics)
        let pipe = StreamPipe(session: sessionLoop, stream: stream, identity: identity, logger: logger) {
            [sessionLoop] pipe in
            // The stream of a SOCKS tunnel is accepted before its destination is known.
            if case .socks = tunnel.way { return pipe.open(stream) }
            guard let version = tunnel.spec.proxyProtocol else {
                pipe.open(stream)
                return sessionLoop.run(.accept(stream))
            }
            // The service's first bytes may arrive while the header is sent, and must follow ACCEPT.
            sessionLoop.run(.accept(stream))
            pipe.open(stream, introducedBy: Self.introduction(of: visit, version, tunnel.publicName))
        }
        sessionLoop.attach(pipe, to: stream)
        return pipe
    }

    private func connect(_ stream: StreamID, _ visit: OpenRequest, _ tunnel: Tunnel, _ egress: any Egress) {
        let pipe = pipe(stream, visit, tunnel)
        egress.connect(for: pipe).assumeIsolated().whenComplete { result in
            switch result {
            case .success(let channel):
                self.join(channel, pipe)
                self.health.answered(tunnel.statistics)
            case .failure where !pipe.isPending:
                // The visitor left before the service answered.
                break
            case .failure(let error):
                self.health.failed(tunnel.statistics, visitor: visit.visitor, EgressFailure.reason(error))
                pipe.fail(EgressFailure.code(error))
            }
        }
    }

    /// Lets the stream's own bytes name the destination.
    private func readSocksRequest(_ stream: StreamID, _ pipe: StreamPipe) {
        SocksStream(
            stream,
            pipe,
            sessionLoop,
            policy: openPolicy,
            destinations: socksDestinations,
            names: names,
            timeout: serviceTimeout,
            logger: logger
        ) { [weak self] channel in
            self?.join(channel, pipe)
        }
        .start()
    }

    /// The PROXY protocol header that the service receives before the visitor's first byte.
    ///
    /// - Parameter name: the host name that the visitor has asked for; nil at a port.
    private static func introduction(
        of visit: OpenRequest,
        _ version: ProxyProtocolVersion,
        _ name: String?
    ) -> ByteBuffer {
        let header = ProxyProtocolHeader(
            source: ProxyProtocolEnd(visit.visitor),
            destination: ProxyProtocolEnd(visit.publicAddress),
            authority: name
        )
        return header.encoded(version)
    }

    private func join(_ channel: any Channel, _ pipe: StreamPipe) {
        guard pipe.isPending else {
            SocketOptions.resetOnClose(channel)
            return channel.close(promise: nil)
        }
        loops.joined(channel)
        do {
            try channel.pipeline.syncOperations.addHandler(pipe)
            // A service may have closed before the handler was added.
            if !channel.isActive { pipe.fail(.connectionReset) }
        } catch {
            pipe.fail(.connectionReset)
        }
    }
}
