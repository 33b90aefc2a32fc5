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
    case taken(from: Int, server: Int, ClaimKey)
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

/// Events in the order of their times, and of their creation at the same time: a binary heap of places in an array.
struct SimulationQueue {
    private struct Turn {
        let at: UInt64
        let number: UInt64
        let place: Int
    }

    private var heap: [Turn] = []
    private var events: [SimulationEvent?] = []
    private var free: [Int] = []
    private var numbers: UInt64 = 0

    mutating func push(_ event: SimulationEvent, at: UInt64) {
        numbers += 1
        let place = free.popLast() ?? events.count
        if place == events.count { events.append(event) } else { events[place] = event }
        let turn = Turn(at: at, number: numbers, place: place)
        heap.append(turn)
        heap.withUnsafeMutableBufferPointer { heap in
            var index = heap.count - 1
            while index > 0, Self.precedes(turn, heap[(index - 1) / 2]) {
                heap[index] = heap[(index - 1) / 2]
                index = (index - 1) / 2
            }
            heap[index] = turn
        }
    }

    mutating func pop() -> (at: UInt64, event: SimulationEvent)? {
        guard let first = heap.first, let last = heap.popLast(), let event = events[first.place] else { return nil }
        events[first.place] = nil
        free.append(first.place)
        guard !heap.isEmpty else { return (first.at, event) }
        heap.withUnsafeMutableBufferPointer { heap in
            var index = 0
            while true {
                var child = 2 * index + 1
                guard child < heap.count else { break }
                if child + 1 < heap.count, Self.precedes(heap[child + 1], heap[child]) { child += 1 }
                guard Self.precedes(heap[child], last) else { break }
                heap[index] = heap[child]
                index = child
            }
            heap[index] = last
        }
        return (first.at, event)
    }

    private static func precedes(_ left: Turn, _ right: Turn) -> Bool {
        left.at < right.at || (left.at == right.at && left.number < right.number)
    }
}
