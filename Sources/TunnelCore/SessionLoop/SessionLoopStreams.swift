import Mux
import NIOCore

/// Streams that begin.
extension SessionLoop {
    /// Opens a stream for a socket; nil if there is no room. Not to be called while actions are performed.
    package func open(_ request: OpenRequest, _ pipe: any StreamEnd) -> StreamID? {
        if case .performing = phase { preconditionFailure("the session is entered while its actions are performed") }
        guard let id = session.open(request, now: .now) else { return nil }
        busyPoll?.noteInteractive()
        streams[id] = pipe
        sendAtEndOfIteration()
        return id
    }

    /// Opens a flow; nil if there is no room. Not to be called while actions are performed.
    package func open(_ request: OpenRequest, _ flow: any DatagramFlow) -> StreamID? {
        if case .performing = phase { preconditionFailure("the session is entered while its actions are performed") }
        guard let id = session.open(request, now: .now) else { return nil }
        flows.add(flow, id)
        sendAtEndOfIteration()
        return id
    }

    /// Counts the datagrams that the session has dropped.
    package func countDrops() {
        let drops = session.datagramDrops
        guard drops != countedDrops else { return }
        metrics.droppedDatagrams.add(drops, since: countedDrops)
        countedDrops = drops
    }

    /// The flow that will be sent to the destination of the peer's stream.
    package func attach(_ flow: any DatagramFlow, to id: StreamID) {
        flows.add(flow, id)
    }

    /// The pipe that will be joined to the service or the destination of the peer's stream.
    package func attach(_ pipe: any StreamEnd, to id: StreamID) {
        streams[id] = pipe
    }
}
