import TunnelCore

/// The state of a client's whole run for its operator, over the sessions that it keeps at several servers.
struct RunProgress: Sendable {
    /// By the sessions' numbers.
    let parts: [ClientProgress]
    let tunnels: TunnelSet
    /// Nil for a client with one session at a time.
    let spread: SessionSpread?

    /// The present state: a tunnel is public if any session has it, and there is a carrier if any session has one.
    var now: ClientProgress.Facts {
        let all = parts.map(\.now)
        guard var facts = all.first, let spread else { return all.first ?? ClientProgress.Facts() }
        facts.withoutCarrierSince =
            all.contains { $0.withoutCarrierSince == nil } ? nil : all.compactMap(\.withoutCarrierSince).max()
        let latest = all.max { ($0.lastErrorAt ?? 0) < ($1.lastErrorAt ?? 0) }
        (facts.lastError, facts.lastErrorAt) = (latest?.lastError, latest?.lastErrorAt)
        facts.nextTry = all.compactMap(\.nextTry).min()
        facts.hasPublished = all.contains(where: \.hasPublished)
        facts.tunnels = tunnels.entries.enumerated().map { index, entry in
            let states = all.compactMap { $0.tunnels.indices.contains(index) ? $0.tunnels[index] : nil }
            var state = ClientProgress.TunnelState(name: entry.spec.description)
            state.isPublic = spread.isPublic(index)
            state.wasPublic = states.contains(where: \.wasPublic)
            state.isRemoved = entry.isRemoved
            state.refusal = state.isPublic ? nil : states.lazy.compactMap(\.refusal).first
            return state
        }
        return facts
    }

    /// Waits for the outcome of the next dial for a session with a carrier, or for any if none has one; nil after the
    /// timeout.
    ///
    /// - Parameter startDial: makes the client dial; called once the outcome cannot be missed.
    func nextOutcome(within timeout: Duration, startDial: () -> Void) async -> ClientProgress.Outcome? {
        let part = parts.first { $0.now.withoutCarrierSince == nil } ?? parts.first
        return await part?.nextOutcome(within: timeout, startDial: startDial)
    }
}
