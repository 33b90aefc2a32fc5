import Mux
import NIOCore

/// Streams that begin.
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
}
