/// The present sessions of a client, each with the waits of the loop that dials for it.
struct CurrentSessions: Sendable {
    /// By number; one for a client with one session at a time.
    let all: [CurrentSession]

    /// The sessions that there are now.
    var sessions: [ClientSessionHandle] { all.compactMap(\.session) }

    /// Whether the client is stopping, and needs no further session.
    var isStopping: Bool { all.contains(where: \.isStopping) }

    /// Ends all waits, and dials another carrier for each session.
    func renew() {
        for current in all { current.renew() }
    }

    /// Ends all waits, and asks again for refused ports.
    func endWaits() {
        for current in all { current.endWaits() }
    }

    /// Records that the client is stopping.
    ///
    /// - Returns: the sessions that are to be ended.
    func stop() -> [ClientSessionHandle] { all.flatMap { $0.stop() } }
}
