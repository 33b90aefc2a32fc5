import NIOCore

/// The datagrams of one flow that wait for the carrier. The oldest are dropped, since a datagram that is late is of no use
/// and UDP's users expect losses.
struct DatagramQueue {
    /// Datagrams that may wait: some round trips of a voice call.
    static let maximumCount = 64
    /// Bytes that may wait: four of the longest datagrams.
    static let maximumBytes = 262_144
    /// Time that a datagram may wait. A call that is 250 ms late is hard to follow.
    static let maximumAge = Duration.milliseconds(250)

    private var waiting = CircularBuffer<(bytes: ByteBuffer, since: Instant)>()
    /// Bytes that wait.
    private(set) var bytes = 0

    var isEmpty: Bool { waiting.isEmpty }

    /// Appends a datagram. The oldest ones are dropped that exceed a bound.
    mutating func append(_ datagram: ByteBuffer, now: Instant, _ drops: inout DatagramDrops) {
        waiting.append((datagram, now))
        bytes += datagram.readableBytes
        dropOld(now: now, &drops)
        while waiting.count > Self.maximumCount {
            removeFirst()
            drops.count += 1
        }
        while bytes > Self.maximumBytes {
            removeFirst()
            drops.bytes += 1
        }
    }

    /// Removes and returns the next datagram that is not too old; nil if there is none.
    mutating func popFirst(now: Instant, _ drops: inout DatagramDrops) -> ByteBuffer? {
        dropOld(now: now, &drops)
        return waiting.isEmpty ? nil : removeFirst()
    }

    /// Removes the oldest datagram.
    ///
    /// - Returns: false if there is none.
    mutating func dropFirst() -> Bool {
        guard !waiting.isEmpty else { return false }
        removeFirst()
        return true
    }

    /// Removes all datagrams.
    ///
    /// - Returns: their number.
    mutating func removeAll() -> Int {
        defer {
            waiting.removeAll()
            bytes = 0
        }
        return waiting.count
    }

    private mutating func dropOld(now: Instant, _ drops: inout DatagramDrops) {
        while let first = waiting.first, now.since(first.since) > Self.maximumAge {
            removeFirst()
            drops.age += 1
        }
    }

    @discardableResult
    private mutating func removeFirst() -> ByteBuffer {
        let first = waiting.removeFirst()
        bytes -= first.bytes.readableBytes
        return first.bytes
    }
}

/// Datagrams that a session has dropped, by reason.
public struct DatagramDrops: Sendable, Hashable {
    /// Their flow had too many waiting.
    public var count = 0
    /// Their flow had too many bytes waiting.
    public var bytes = 0
    /// They had waited too long.
    public var age = 0
    /// All flows together had too many bytes waiting.
    public var session = 0
    /// There was no carrier.
    public var carrier = 0

    /// None.
    public init() {}

    /// All of them.
    public var total: Int { count + bytes + age + session + carrier }
}
