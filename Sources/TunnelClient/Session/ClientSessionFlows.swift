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
        flow.onAnswer = { [weak self] in self?.health.answered(statistics) }
        flow.onFailure = { [weak self] code in
            self?.rotation.refused(host)
            self?.health.failed(statistics, visitor: visit.visitor, "\(code)")
        }
        sessionLoop.attach(flow, to: stream)
        // localhost needs no resolver (RFC 6761 section 6.3).
        if host == "localhost" { return connect(flow, host, [.v4(0x7F00_0001), .v6(1)], port, visit, statistics) }
        let (answer, _) = names.addresses(of: host, for: .service, on: sessionLoop.eventLoop)
        answer.assumeIsolated().whenComplete { result in
            guard flow.isPending else { return }
            switch result {
            case .failure(let error):
                let reason = (error as? NameFailure)?.description ?? EgressFailure.reason(error)
                self.fail(flow, .unreachable, "the name \(host) has no address (\(reason))", visit, statistics)
            case .success(let found):
                let addresses = found.compactMap(\.ip).filter(\.mayBeService)
                guard !addresses.isEmpty else {
                    return self.fail(flow, .unreachable, "its name leads to no host", visit, statistics)
                }
                self.connect(flow, host, addresses, port, visit, statistics)
            }
        }
    }

    private func connect(
        _ flow: EgressFlow,
        _ host: String,
        _ addresses: [IPAddress],
        _ port: UInt16,
        _ visit: OpenRequest,
        _ statistics: TunnelStatistics
    ) {
        let ordered = rotation.order(addresses, of: host)
        flow.connect(to: ordered, port: port).assumeIsolated().whenComplete { result in
            switch result {
            case .success(let channel):
                self.loops.joined(channel)
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
