import Logging
import Mux
import NIOCore
import TunnelCore

/// Connects each visitor's stream to the service of its tunnel.
extension ClientSession {
    func session(_ sessionLoop: SessionLoop, open stream: StreamID, _ visit: OpenRequest) {
        guard let tunnel = tunnel(visit.tunnel) else { return sessionLoop.run(.reset(stream, .noSuchTunnel)) }
        // No tunnel asks for datagrams.
        guard visit.kind == .tcp else { return sessionLoop.run(.reset(stream, .refused)) }
        let (index, spec) = (Int(visit.tunnel), tunnel.spec)
        guard !loops.isLoop(visit) else {
            logger.warning(
                "a tunnel leads to a public port of its own; the visitor is refused",
                metadata: ["tunnel": "\(spec)", "visitor": "\(visit.visitor)"]
            )
            return sessionLoop.run(.reset(stream, .refused))
        }
        let identity = StreamIdentity(visitor: visit.visitor, statistics: tunnel.statistics)
        let pipe = StreamPipe(session: sessionLoop, stream: stream, identity: identity, logger: logger) { pipe in
            // The stream of a SOCKS tunnel is accepted before its destination is known.
            guard tunnel.egress != nil else { return pipe.open(stream) }
            guard let version = spec.proxyProtocol else {
                pipe.open(stream)
                return sessionLoop.run(.accept(stream))
            }
            // The service's first bytes may arrive while the header is sent, and must follow ACCEPT.
            sessionLoop.run(.accept(stream))
            pipe.open(stream, introducedBy: Self.introduction(of: visit, version))
        }
        sessionLoop.attach(pipe, to: stream)
        guard let egress = tunnel.egress else { return readSocksRequest(stream, pipe) }
        egress.connect(for: pipe).assumeIsolated().whenComplete { result in
            switch result {
            case .success(let channel):
                self.join(channel, pipe)
                if self.unreachable.remove(index) != nil {
                    self.logger.notice("service answers again", metadata: ["service": "\(spec.service)"])
                }
            case .failure where !pipe.isPending:
                // The visitor left before the service answered.
                break
            case .failure(let error):
                let code = EgressFailure.code(error)
                if self.unreachable.insert(index).inserted {
                    self.logger.warning(
                        "service cannot be reached",
                        metadata: [
                            "service": "\(spec.service)", "visitor": "\(visit.visitor)",
                            "reason": "\(EgressFailure.reason(error))",
                        ]
                    )
                }
                pipe.fail(code)
            }
        }
    }

    /// Lets the stream's own bytes name the destination.
    private func readSocksRequest(_ stream: StreamID, _ pipe: StreamPipe) {
        SocksStream(
            stream,
            pipe,
            sessionLoop,
            policy: openPolicy(),
            names: names,
            timeout: serviceTimeout,
            logger: logger
        ) { [weak self] channel in
            self?.join(channel, pipe)
        }
        .start()
    }

    /// The PROXY protocol header that the service receives before the visitor's first byte.
    private static func introduction(of visit: OpenRequest, _ version: ProxyProtocolVersion) -> ByteBuffer {
        let header = ProxyProtocolHeader(
            source: ProxyProtocolEnd(visit.visitor),
            destination: ProxyProtocolEnd(visit.publicAddress)
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
