import Mux

/// The pipes of a session by their streams, and those among them whose sockets are to be flushed.
struct StreamRegistry {
    private var pipes: [StreamID: any StreamEnd] = [:]
    private var unflushed: [any StreamEnd] = []

    /// Streams that have a pipe.
    var count: Int { pipes.count }

    /// Sockets with bytes that the kernel has not been given.
    var unflushedCount: Int { unflushed.count }

    subscript(id: StreamID) -> (any StreamEnd)? {
        get { pipes[id] }
        set { pipes[id] = newValue }
    }

    /// Forgets a stream.
    mutating func remove(_ id: StreamID) -> (any StreamEnd)? {
        pipes.removeValue(forKey: id)
    }

    /// A pipe's socket is to be flushed.
    mutating func needsFlush(_ pipe: any StreamEnd) {
        unflushed.append(pipe)
    }

    /// The next pipe to flush.
    mutating func nextUnflushed() -> (any StreamEnd)? {
        unflushed.popLast()
    }
}
