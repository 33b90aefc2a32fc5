import Mux

/// The sockets of a session's flows by their streams, and those among them that are to be flushed.
struct FlowRegistry {
    private var flows: [StreamID: any DatagramFlow] = [:]
    private var unflushed: [any DatagramFlow] = []

    var isEmpty: Bool { flows.isEmpty }

    subscript(id: StreamID) -> (any DatagramFlow)? {
        get { flows[id] }
        set { flows[id] = newValue }
    }

    /// Forgets a flow.
    mutating func remove(_ id: StreamID) -> (any DatagramFlow)? {
        flows.removeValue(forKey: id)
    }

    /// A flow's socket is to be flushed.
    mutating func needsFlush(_ flow: any DatagramFlow) {
        if unflushed.last !== flow { unflushed.append(flow) }
    }

    /// Removes and returns the flows to flush.
    mutating func takeUnflushed() -> [any DatagramFlow] {
        defer { unflushed.removeAll() }
        return unflushed
    }
}
