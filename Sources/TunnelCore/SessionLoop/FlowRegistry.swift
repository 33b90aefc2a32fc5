import Mux

/// The sockets of a session's flows by their streams, and those among them that are to be flushed.
struct FlowRegistry {
    private var flows: [StreamID: any DatagramFlow] = [:]
    private var unflushed: [any DatagramFlow] = []

    var isEmpty: Bool { flows.isEmpty }

    /// What the flows cost besides their streams, bytes.
    private(set) var cost = 0

    subscript(id: StreamID) -> (any DatagramFlow)? { flows[id] }

    /// Adds the flow of a new stream.
    mutating func add(_ flow: any DatagramFlow, _ id: StreamID) {
        flows[id] = flow
        cost += flow.cost
    }

    /// Forgets a flow.
    mutating func remove(_ id: StreamID) -> (any DatagramFlow)? {
        let flow = flows.removeValue(forKey: id)
        cost -= flow?.cost ?? 0
        return flow
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
