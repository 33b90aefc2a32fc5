@testable import Cluster

/// Something that happens at a time of a simulation.
enum SimulationEvent {
    case tick(server: Int)
    case request(server: Int, ClusterNode.RequestID, StoreRequest)
    case reply(server: Int, ClusterNode.RequestID, StoreReply)
    case watch(server: Int, StoreScope, number: Int)
    case watchDies(server: Int, StoreScope, number: Int)
    case lease(LeaseID)
    case probe(from: Int, ClusterNode.ProbeID, to: ServerID, session: [UInt8])
    case answer(server: Int, ClusterNode.ProbeID, isAlive: Bool)
    case taken(server: Int, ClaimKey)
    case linksBreak(server: Int)
    case connect(client: Int)
    case connected(client: Int, server: Int)
    case retry(client: Int, session: UInt32, place: Int)
    case oldSessionEnds(client: Int, session: UInt32)
    case sessionEnds(server: Int, client: Int, session: UInt32)
    case visitors
    case fault
    case heal(SimulatedFault)
    case join
}

/// Events in the order of their times, and of their creation at the same time: a binary heap.
struct SimulationQueue {
    private var heap: [(at: UInt64, number: UInt64, event: SimulationEvent)] = []
    private var numbers: UInt64 = 0

    var nextTime: UInt64? { heap.first?.at }
    var count: Int { heap.count }

    mutating func push(_ event: SimulationEvent, at: UInt64) {
        numbers += 1
        heap.append((at, numbers, event))
        var index = heap.count - 1
        while index > 0, precedes(index, (index - 1) / 2) {
            heap.swapAt(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
    }

    mutating func pop() -> (at: UInt64, event: SimulationEvent)? {
        guard let first = heap.first else { return nil }
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        var index = 0
        while true {
            var least = index
            for child in [2 * index + 1, 2 * index + 2] where child < heap.count && precedes(child, least) {
                least = child
            }
            guard least != index else { break }
            heap.swapAt(index, least)
            index = least
        }
        return (first.at, first.event)
    }

    private func precedes(_ left: Int, _ right: Int) -> Bool {
        (heap[left].at, heap[left].number) < (heap[right].at, heap[right].number)
    }
}
