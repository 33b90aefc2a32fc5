import Logging
import Mux
import TunnelCore

/// A change of the client's rights while its session lives.
extension ServerSession {
    /// Applies other rights: closes ports that the client may not have any more, and judges requests and visitors by
    /// the new rules. Streams continue, and the session keeps its number of streams.
    func update(_ rights: ClientRights, _ configuration: ServerConfiguration) {
        let before = rules.rights
        rules = SessionRules(rights, configuration)
        ports.limits = rules.limits
        ports.access = rules.unixAccess
        expiry.watch(rights)
        if bandwidth.limit == nil, rights.bandwidth != nil, sessionLoop.streamCount > 0 {
            logger.notice(
                "the client's new bandwidth holds for new visitors",
                metadata: ["visitors_that_go_on": .number(sessionLoop.streamCount)]
            )
        }
        bandwidth.update(rights)
        admission.update(rules)
        forwards.update(rules)
        applyRulesToTunnels()
        if before.maximumStreams != rights.maximumStreams {
            logger.notice("the client's number of streams holds from its next session on")
        }
    }

    /// Closes the ports that the client may not have any more, and applies the new limits to the visitors of the others.
    private func applyRulesToTunnels() {
        var kept = 0
        for listener in ports.published.sorted(by: { $0.tunnel < $1.tunnel }) {
            guard let tunnel = admission[listener.tunnel] else { continue }
            if let refusal = rules.refusal(of: tunnel.request, at: listener, beside: kept) {
                logger.notice(
                    "port closed: the client's rights have changed",
                    metadata: [
                        "place": "\(listener.place)", "tunnel": .number(listener.tunnel), "reason": "\(refusal)",
                        "visitors_that_go_on": .number(
                            tunnel.gate.visitors - admission.pending.count(at: listener.tunnel)
                        ),
                    ]
                )
                withdraw(listener, refusal)
            } else {
                kept += 1
                applyRules(to: tunnel)
            }
        }
    }

    private func applyRules(to tunnel: TunnelAdmission) {
        guard let limits = rules.visitorLimits(for: tunnel.request) else { return }
        if tunnel.gate.visitors > 0, limits != tunnel.gate.limits {
            logger.notice(
                "new limits apply to new visitors; present visitors keep the old ones",
                metadata: [
                    "tunnel": .number(tunnel.request.tunnel), "visitors_that_go_on": .number(tunnel.gate.visitors),
                    "changed": "\(limits.keys(thatDifferFrom: tunnel.gate.limits).joined(separator: ","))",
                ]
            )
        }
        tunnel.update(limits)
    }
}
