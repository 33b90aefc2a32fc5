import Testing

@testable import culvert_bench

@Suite("The packets on a path") struct PacketQueueTests {
    private func append(_ number: Int, to queue: inout PacketQueue) {
        queue.free.storeBytes(of: number, as: Int.self)
        queue.append(length: 8 + number % 1_492, due: Double(number))
    }

    private func delivered(from queue: inout PacketQueue, at now: Double) -> [Int] {
        var numbers: [Int] = []
        queue.deliver(at: now) { bytes in
            let number = bytes.loadUnaligned(as: Int.self)
            #expect(bytes.count == 8 + number % 1_492)
            numbers.append(number)
        }
        return numbers
    }

    @Test("only packets that are due arrive, in order") func due() {
        var queue = PacketQueue(capacity: 4)
        #expect(queue.due == nil)
        for number in 0..<4 { append(number, to: &queue) }
        #expect(queue.due == 0)
        #expect(delivered(from: &queue, at: 1) == [0, 1])
        #expect(queue.due == 2)
        #expect(delivered(from: &queue, at: 1.5) == [])
        #expect(delivered(from: &queue, at: 9) == [2, 3])
        #expect(queue.due == nil)
    }

    @Test("the queue grows at any place of its first packet", arguments: 0..<6) func growth(offset: Int) {
        var queue = PacketQueue(capacity: 4)
        for number in 0..<offset {
            append(number, to: &queue)
            #expect(delivered(from: &queue, at: Double(number)) == [number])
        }
        for number in offset..<offset + 40 { append(number, to: &queue) }
        #expect(queue.count == 40)
        #expect(delivered(from: &queue, at: 100) == Array(offset..<offset + 40))
    }
}
