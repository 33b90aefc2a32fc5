import NIOCore

/// The counted frames that were handed to the carrier and not yet acknowledged (protocol page, section 6). A new
/// carrier sends them again. The session bounds the buffers of all its lanes together, which is also its back-pressure.
struct ReplayBuffer: Sendable {
    private var frames = CircularBuffer<(frame: OutboundFrame, sample: PathEstimate.Sample)>()
    /// Bytes held, headers included.
    private(set) var bytes = 0
    /// Frames held.
    var count: Int { frames.count }
    /// Frames appended in total.
    private(set) var sent: UInt64 = 0
    /// Frames acknowledged in total.
    private(set) var acknowledged: UInt64 = 0
    /// Frames already sent again on the new carrier; nil if none remain to be sent again.
    private var repeated: Int?

    /// Memory that the frames take, bytes.
    var cost: Int { bytes + frames.count * MuxLimits.frameCost }

    mutating func append(_ frame: OutboundFrame, _ sample: PathEstimate.Sample) {
        frames.append((frame, sample))
        bytes += frame.length
        sent += 1
    }

    /// Drops the frames that the peer has received.
    ///
    /// - Returns: the bytes dropped and the sample of the last frame; nil if the count did not advance.
    /// - Throws: ``MuxError`` if the count decreases or exceeds the frames sent.
    mutating func acknowledge(_ count: UInt64) throws(MuxError) -> (bytes: Int, last: PathEstimate.Sample)? {
        guard count >= acknowledged, count <= sent else {
            throw MuxError(.acknowledgement, "\(count) acknowledged of \(sent), after \(acknowledged)")
        }
        let before = bytes
        var last: PathEstimate.Sample?
        while acknowledged < count, let (frame, sample) = frames.popFirst() {
            bytes -= frame.length
            acknowledged += 1
            last = sample
            if let index = repeated { repeated = max(0, index - 1) }
        }
        return last.map { (before - bytes, $0) }
    }

    /// Prepares for a new carrier: drops what the peer has received and sends the rest again, in the old order.
    ///
    /// - Throws: ``MuxError`` if the peer's count is impossible.
    mutating func rewind(to count: UInt64) throws(MuxError) {
        _ = try acknowledge(count)
        repeated = 0
    }

    /// Drops what the peer has received, and removes and returns the rest in its old order, since the lane is gone.
    ///
    /// - Throws: ``MuxError`` if the peer's count is impossible.
    mutating func retire(at count: UInt64) throws(MuxError) -> [OutboundFrame] {
        _ = try acknowledge(count)
        defer {
            frames.removeAll()
            bytes = 0
        }
        return frames.map(\.frame)
    }

    /// Returns the next frame to send again and gives it a new sample; nil if none is left.
    mutating func nextToRepeat(_ sample: PathEstimate.Sample) -> OutboundFrame? {
        guard let index = repeated else { return nil }
        guard index < frames.count else {
            repeated = nil
            return nil
        }
        repeated = index + 1
        frames[offset: index].sample = sample
        return frames[offset: index].frame
    }
}
