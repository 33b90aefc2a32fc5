import Mux
import NIOCore
import NetworkAddress
import TunnelCore

/// Gives each flow of a UDP tunnel a socket to the service.
extension ClientSession {
    func openFlow(
        _ stream: StreamID,
        _ visit: OpenRequest,
        _ statistics: TunnelStatistics,
        _ host: String,
        _ port: UInt16
    ) {
        let flow = EgressFlow(
            sessionLoop,
            stream,
            identity: StreamIdentity(visitor: visit.visitor, kind: .udp, statistics: statistics),
            silence: flowSilence,
            logger: logger,
            onEnd: {}
        )
        sessionLoop.attach(flow, to: stream)
        // localhost needs no resolver (RFC 6761 section 6.3).
        if host == "localhost" { return connect(flow, .v4(0x7F00_0001), port, visit, statistics) }
        let (answer, _) = names.addresses(of: host, for: .service, on: sessionLoop.eventLoop)
        answer.assumeIsolated().whenComplete { result in
            guard flow.isPending else { return }
            switch result {
            case .failure(let error):
                let reason = (error as? NameFailure)?.description ?? EgressFailure.reason(error)
                self.fail(flow, .unreachable, "the name \(host) has no address (\(reason))", visit, statistics)
            case .success(let found):
                guard let address = found.lazy.compactMap(\.ip).first(where: \.mayBeService) else {
                    return self.fail(flow, .unreachable, "its name leads to no host", visit, statistics)
                }
                self.connect(flow, address, port, visit, statistics)
            }
        }
    }

    private func connect(
        _ flow: EgressFlow,
        _ address: IPAddress,
        _ port: UInt16,
        _ visit: OpenRequest,
        _ statistics: TunnelStatistics
    ) {
        flow.connect(to: address, port: port).assumeIsolated().whenComplete { result in
            switch result {
            case .success(let channel):
                self.loops.joined(channel)
                self.health.answered(statistics)
            case .failure(let error):
                self.fail(flow, EgressFailure.code(error), EgressFailure.reason(error), visit, statistics)
            }
        }
    }

    private func fail(
        _ flow: EgressFlow,
        _ code: ResetCode,
        _ reason: String,
        _ visit: OpenRequest,
        _ statistics: TunnelStatistics
    ) {
        health.failed(statistics, visitor: visit.visitor, reason)
        flow.fail(code)
    }
}
