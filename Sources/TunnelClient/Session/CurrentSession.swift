import Synchronization

/// The present session, shared between the loop that dials and the tasks that renew and stop it.
///
/// Earlier ones whose servers are stopping live beside it until their last streams have ended.
final class CurrentSession: Sendable {
    private struct State {
        var session: ClientSessionHandle?
        /// Earlier sessions that live.
        var leaving: [ClientSessionHandle] = []
        var isStopping = false

        var all: [ClientSessionHandle] { (session.map { [$0] } ?? []) + leaving }
    }

    private let stored = Mutex(State())
    let waits: DialWaits

    init(waits: DialWaits) {
        self.waits = waits
    }

    /// Ends all waits: dials another carrier for the present session, or dials at once if there is none, and asks again
    /// for refused ports.
    func renew() {
        session?.renew("the operator asks for it")
        endWaits()
    }

    /// Ends the wait before the next dial, if there is one, and asks again for refused ports.
    func endWaits() {
        if let session {
            session.askForPorts()
            if session.withoutCarrierSince != nil { session.renew("the operator asks for it") }
        }
        waits.end()
    }

    /// The present session; nil if there is none.
    var session: ClientSessionHandle? { stored.withLock { $0.session } }

    /// The present session, and earlier ones that live.
    var all: [ClientSessionHandle] { stored.withLock { $0.all } }

    /// Whether the client is stopping, and needs no further session.
    var isStopping: Bool { stored.withLock { $0.isStopping } }

    /// Stores the present session, or its end.
    ///
    /// - Returns: false if the client is stopping.
    func hold(_ session: ClientSessionHandle?) -> Bool {
        // Tunnels may have changed since the session began.
        defer { session?.tunnelsChanged() }
        return stored.withLock { stored in
            stored.leaving = stored.all.filter { !$0.isOver && $0 !== session }
            stored.session = session
            return !stored.isStopping
        }
    }

    /// Records that the client is stopping.
    ///
    /// - Returns: the sessions that are to be ended, the present one first.
    func stop() -> [ClientSessionHandle] {
        stored.withLock { stored in
            stored.isStopping = true
            return stored.all
        }
    }
}
