/// Decides what happens to each packet of one direction of a path.
///
/// A packet is lost at random before the queue. Otherwise it waits for the packets before it, takes the time of its bytes
/// at the bottleneck, and arrives after the delay. The queue drops at its tail.
struct PacketShaper {
    /// The end of a packet.
    enum Fate: Equatable {
        /// It arrives at this time.
        case arrives(at: Double)
        /// It was lost at random.
        case lost
        /// The queue was full.
        case overflowed
    }

    /// The numbers of packets so far.
    struct Counts: Codable, Equatable, Sendable {
        var passed = 0
        var lost = 0
        var overflowed = 0
    }

    private let shape: PathShape
    private var random: SeededRandom
    /// The time at which the bottleneck has sent all packets of the queue.
    private var free = 0.0
    /// The fates so far.
    private(set) var counts = Counts()

    /// - Parameter seed: determines which packets are lost.
    init(_ shape: PathShape, seed: UInt64) {
        self.shape = shape
        random = SeededRandom(seed: seed)
    }

    /// Takes a packet. Times must not decrease.
    mutating func take(bytes: Int, at now: Double) -> Fate {
        if shape.lossPercent > 0, Double.random(in: 0..<100, using: &random) < shape.lossPercent {
            counts.lost += 1
            return .lost
        }
        guard free - now <= shape.queue else {
            counts.overflowed += 1
            return .overflowed
        }
        counts.passed += 1
        free = max(now, free) + shape.transmission(ofBytes: bytes)
        return .arrives(at: free + shape.delay)
    }
}
