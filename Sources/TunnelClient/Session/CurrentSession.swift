import Synchronization

/// The present session, shared between the loop that dials and the tasks that renew and stop it.
final class CurrentSession: Sendable {
    private let stored = Mutex<(session: ClientSessionHandle?, isStopping: Bool)>((nil, false))
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

    /// Whether the client is stopping, and needs no further session.
    var isStopping: Bool { stored.withLock { $0.isStopping } }

    /// Stores the present session, or its end.
    ///
    /// - Returns: false if the client is stopping.
    func hold(_ session: ClientSessionHandle?) -> Bool {
        // Tunnels may have changed since the session began.
        defer { session?.tunnelsChanged() }
        return stored.withLock { stored in
            stored.session = session
            return !stored.isStopping
        }
    }

    /// Records that the client is stopping.
    ///
    /// - Returns: the session that is to be ended.
    func stop() -> ClientSessionHandle? {
        stored.withLock { stored in
            stored.isStopping = true
            return stored.session
        }
    }
}
