/// The packets on one direction of a path, in the order of their arrival. Nothing overtakes, so the oldest is due first.
///
/// A packet is read into the free slot at the end, and stays there if it arrives. So no byte is copied.
struct PacketQueue: ~Copyable {
    private static let slotSize = 2_048

    private var slots: UnsafeMutableRawBufferPointer
    private var entries: [(due: Double, length: Int)]
    private var first = 0
    /// The number of packets.
    private(set) var count = 0

    /// - Parameter capacity: the number of packets before the queue grows.
    init(capacity: Int = 1_024) {
        slots = .allocate(byteCount: (capacity + 1) * Self.slotSize, alignment: 64)
        entries = .init(repeating: (0, 0), count: capacity + 1)
    }

    deinit { slots.deallocate() }

    /// The slot for the next packet.
    var free: UnsafeMutableRawBufferPointer { slot((first + count) % entries.count) }

    /// Keeps the packet in the free slot.
    ///
    /// - Parameter due: the time of its arrival, which is not before that of the packet before it.
    mutating func append(length: Int, due: Double) {
        entries[(first + count) % entries.count] = (due, length)
        count += 1
        // One slot is always free.
        if count == entries.count { grow() }
    }

    /// The time at which the first packet arrives; nil without packets.
    var due: Double? { count > 0 ? entries[first].due : nil }

    /// Removes the packets that are due, in order, and calls a closure with the bytes of each.
    mutating func deliver(at now: Double, _ deliver: (UnsafeRawBufferPointer) -> Void) {
        while count > 0, entries[first].due <= now {
            deliver(UnsafeRawBufferPointer(rebasing: slot(first)[..<entries[first].length]))
            first = (first + 1) % entries.count
            count -= 1
        }
    }

    private func slot(_ index: Int) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(rebasing: slots[index * Self.slotSize..<(index + 1) * Self.slotSize])
    }

    private mutating func grow() {
        let larger = UnsafeMutableRawBufferPointer.allocate(byteCount: 2 * slots.count, alignment: 64)
        // The oldest packet moves to the front.
        let split = first * Self.slotSize
        UnsafeMutableRawBufferPointer(rebasing: larger[..<(slots.count - split)]).copyMemory(
            from: UnsafeRawBufferPointer(rebasing: slots[split...])
        )
        UnsafeMutableRawBufferPointer(rebasing: larger[(slots.count - split)..<slots.count]).copyMemory(
            from: UnsafeRawBufferPointer(rebasing: slots[..<split])
        )
        slots.deallocate()
        slots = larger
        entries = entries[first...] + entries[..<first] + .init(repeating: (0, 0), count: entries.count)
        first = 0
    }
}
