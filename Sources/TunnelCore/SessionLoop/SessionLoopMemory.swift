import Logging
import Mux
import NIOCore

/// The session's share of the process's memory.
extension SessionLoop {
    func openAccount() {
        let shedding = NIOLoopBound(self, eventLoop: eventLoop)
        account.open { bytes, done in
            shedding.eventLoop.execute {
                shedding.value.run(.shed(bytes))
                done()
            }
        }
    }

    /// Counts what the session holds, and sets the session's memory pressure; while actions are performed, after them.
    func settleAccount() {
        if case .performing = phase {
            accountHasChanged = true
            return
        }
        accountHasChanged = false
        var held = session.heldBytes + flows.cost
        held += max(0, carriers.count - 1) * MemoryBudget.furtherCarrierCost
        for carrier in carriers {
            held += carrier.deferred?.storage ?? 0
            if !carrier.link.isWritable { held += MemoryBudget.blockedCarrierCost }
        }
        session.pressure = account.settle(held)
    }

    /// The process has used up its memory, and this session holds the most of it.
    func shed(_ bytes: Int) {
        guard !session.isEnded else { return }
        let before = session.streamCount
        session.shed(bytes)
        settleAccount()
        sendAtEndOfIteration()
        logger.warning(
            "out of memory for sessions; the streams that held the most of it were reset",
            metadata: ["streams": .number(before - session.streamCount)]
        )
    }

    /// Keeps bytes of a visitor that has no stream yet in the session's account.
    ///
    /// - Returns: false if there is no room for them.
    package func keepPending(_ count: Int) -> Bool {
        guard account.pendingBytes + count <= session.queueRoom, session.pressure < .refusesStreams else {
            return false
        }
        account.pendingBytes += count
        settleAccount()
        return true
    }

    /// So many of these bytes are queued now, or dropped.
    package func releasePending(_ count: Int) {
        guard count > 0 else { return }
        account.pendingBytes -= count
        settleAccount()
    }

    /// What the role's own bookkeeping takes, bytes: tunnels, and visitors that wait.
    package var fixedCost: Int {
        get { account.fixedCost }
        set {
            guard newValue != account.fixedCost else { return }
            account.fixedCost = newValue
            settleAccount()
        }
    }
}
