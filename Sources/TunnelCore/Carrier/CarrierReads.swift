import NIOCore

/// How much a carrier's socket is read at a time: much, except where crowds of questions or answers come.
///
/// Nobody is answered while a loop works through what one read has brought. Where that is a whole crowd's, the two ends
/// take turns, and each waits for the other. Where it is a dozen messages, the first answers have left before the rest
/// is read, and the other end works on them meanwhile.
///
/// Pure: it is told what each read has brought.
package struct CarrierReads {
    /// The size of a read where crowds come. 1 KiB: a dozen messages of 64 bytes. With half of it, or half as much again,
    /// 64 connections have a twentieth fewer round trips.
    package static let short = 1_024
    /// Messages in one read that make a crowd: about as many as a short read brings of 64 bytes.
    package static let crowd = 12
    /// The most bytes that a read has brought for each message, with heads and all else that came among them, where it is
    /// a crowd's. 96: 64 bytes and their heads. Whoever comes and goes sends several frames for each message.
    package static let little = 96
    /// The least. 32: single bytes take less, and a peer that sends those on a few streams is read as before. Short reads
    /// would have the streams' sockets written for each KiB of them (M27).
    package static let least = 32
    /// How many bytes for each message a full short read may bring and be followed by others. From half of ``least`` to
    /// far more than ``little``, so that a crowd near those bounds is not taken for one and for none by turns.
    package static let kept = 16...256
    /// Crowds in a row that have the reads become short. Eight: a copy that has just ended is no reason.
    package static let crowds = 8

    /// Whether the socket is to be read little at a time.
    package private(set) var areShort = false
    private var bytes = 0
    private var messages = 0
    private var crowdsInARow = 0

    /// A read has brought so many bytes.
    package mutating func brings(_ count: Int) {
        bytes += count
    }

    /// A message was among what it brought: so many bytes of a stream. Only short ones count, whatever they have been
    /// compressed to.
    package mutating func bringsMessage(_ length: Int) {
        if length <= Self.little { messages += 1 }
    }

    /// What was read has been worked through.
    ///
    /// - Returns: whether ``areShort`` has changed.
    package mutating func end() -> Bool {
        defer { (bytes, messages) = (0, 0) }
        if areShort {
            // One that is not full has left nothing behind.
            guard bytes >= Self.short, !isOfMessages(Self.kept) else { return false }
            areShort = false
            return true
        }
        let isCrowd = messages >= Self.crowd && isOfMessages(Self.least...Self.little)
        crowdsInARow = isCrowd ? crowdsInARow + 1 : 0
        guard crowdsInARow >= Self.crowds else { return false }
        crowdsInARow = 0
        areShort = true
        return true
    }

    /// Whether so many bytes came for each message.
    private func isOfMessages(_ each: ClosedRange<Int>) -> Bool {
        bytes >= each.lowerBound * messages && bytes <= each.upperBound * messages
    }
}

/// Reads of ``CarrierReads/short`` bytes, from the second on, each into a buffer of its own: NIO would read into a larger
/// one that it has kept.
package struct ShortReads: RecvByteBufferAllocator {
    package func buffer(allocator: ByteBufferAllocator) -> ByteBuffer {
        allocator.buffer(capacity: CarrierReads.short)
    }

    package mutating func record(actualReadBytes: Int) -> Bool { true }
}
