import Mux
import NIOCore

/// Streams that begin, and visitors that have none yet.
extension SessionLoop {
    /// Opens a stream for a visitor; nil if there is no room. Not to be called while actions are performed.
    package func open(_ request: OpenRequest, _ pipe: StreamPipe) -> StreamID? {
        if case .performing = phase { preconditionFailure("the session is entered while its actions are performed") }
        guard let id = session.open(request, now: .now) else { return nil }
        busyPoll?.noteInteractive()
        streams[id] = pipe
        sendAtEndOfIteration()
        return id
    }

    /// Client: the pipe that will be joined to the service of a stream.
    package func attach(_ pipe: StreamPipe, to id: StreamID) {
        streams[id] = pipe
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
