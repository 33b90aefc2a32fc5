import Mux
import NIOCore
import TunnelCore

/// The visitors that wait for a carrier or for a stream.
extension VisitorAdmission {
    /// Keeps visitors waiting until another carrier is attached.
    func carrierLost() {
        reportPause()
        setAccepting()
        watchDeadlines()
    }

    /// Opens streams for pending visitors after the session has got room, or another carrier.
    func roomChanged() {
        reportPause()
        guard !pending.isEmpty || usesListenQueue else { return }
        let deadline = pending.nextDeadline
        for tunnel in pending.tunnels { openPending(at: tunnel) }
        setAccepting()
        if pending.nextDeadline != deadline { watchDeadlines() }
    }

    /// Resets all pending visitors.
    func stop() {
        releaseStreams()
        pendingTimer?.cancel()
        for visitor in pending.removeAll() { visitor.pipe.reset(.goingAway) }
        chargeBookkeeping()
    }

    private func openPending(at tunnel: UInt16) {
        while let next = pending.first(at: tunnel) {
            guard next.pipe.isPending else {
                pending.removeFirst(at: tunnel)
                continue
            }
            switch sessionLoop.room(at: tunnel) {
            case .later: return
            case .usedUp: return pending.shortenDeadlines(at: tunnel, now: clock.now())
            case .free:
                guard let id = sessionLoop.open(next.request, next.pipe) else { return }
                pending.removeFirst(at: tunnel)
                next.pipe.begin(id)
            }
        }
    }

    /// Decides for each tunnel whether further visitors are accepted or wait in its listen queue.
    ///
    /// | session | accepted |
    /// |---|---|
    /// | without a carrier | until the pending visitors are full, so that each has a deadline |
    /// | with a carrier, services are slow | not while visitors of the tunnel are pending |
    /// | with a carrier, streams used up | yes, so that they are refused |
    func setAccepting() {
        let hasCarrier = sessionLoop.hasCarrier
        let acceptsAll = ports.setAccepting { tunnel in
            guard hasCarrier else { return !pending.isFull }
            return !pending.hasVisitors(at: tunnel) || sessionLoop.room(at: tunnel) == .usedUp
        }
        usesListenQueue = !acceptsAll
        chargeBookkeeping()
    }

    /// Resets visitors at their deadlines.
    func watchDeadlines() {
        pendingTimer?.cancel()
        pendingTimer = nil
        guard let deadline = pending.nextDeadline else { return }
        let task = { self.resetExpired() }
        pendingTimer = sessionLoop.eventLoop.assumeIsolated().scheduleTask(
            deadline: .uptimeNanoseconds(deadline.nanoseconds),
            task
        )
    }

    private func resetExpired() {
        for visitor in pending.removeExpired(now: clock.now()) {
            if visitor.waitsForStream, sessionLoop.hasCarrier {
                refuseForStreams(visitor.pipe, visitor.request)
            } else {
                visitor.pipe.reset(.timeout)
            }
        }
        setAccepting()
        watchDeadlines()
    }
}
