import CZlib
import NIOCore

/// Inflates messages of RFC 7692 (section 7.2.2) in chunks of a requested size, so that a deflate bomb costs only the
/// bytes requested.
///
/// The window is always the widest, 32 KiB. Within the output of one call, zlib accepts distances beyond a narrower
/// window. So a narrower window would accept or refuse a peer's distances depending on how the network split the bytes.
/// With 32 KiB the result is always the same: every deflate distance fits, and one before the first byte is refused.
///
/// Owns zlib's state, which is created once and only reset between messages.
package struct Inflater: ~Copyable, @unchecked Sendable {
    /// The bytes 00 00 FF FF, which end every message and which its sender omits.
    private static let tail = UInt32(0x0000_FFFF).bigEndian

    /// The result of one step.
    package enum Step {
        /// The room is used up; more output may follow.
        case full
        /// The input is used up. If it ends the message, the message is complete and the next one may begin.
        case drained
        /// The bytes are not a deflate stream, refer to bytes before its beginning, or end inside a block. The output
        /// holds what precedes the error.
        case invalid
    }

    // As in Deflater: the stream must not move, and only this owner uses it.
    private let stream: UnsafeMutablePointer<z_stream>
    private let noContextTakeover: Bool
    /// Bytes of the tail not yet inflated.
    private var tailLeft = 4
    /// Whether the input so far ends with a final block. A message that ends there has no omitted tail.
    private var isAtFinalBlock = false
    /// Whether none of the message has arrived. A message that ends so is empty.
    private var isAtStart = true

    private init(stream: UnsafeMutablePointer<z_stream>, noContextTakeover: Bool) {
        self.stream = stream
        self.noContextTakeover = noContextTakeover
    }

    /// Creates an inflater; nil if memory is short.
    package static func make(noContextTakeover: Bool) -> Inflater? {
        let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        stream.initialize(to: z_stream())
        guard culvert_inflate_init(stream, Int32(DeflateOptions.widestWindow)) == Z_OK else {
            stream.deallocate()
            return nil
        }
        return Inflater(stream: stream, noContextTakeover: noContextTakeover)
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
    }

    /// Inflates `input` into `out`, at least one and at most `room` bytes.
    ///
    /// - Parameter endsMessage: whether the message ends with this input.
    package mutating func inflate(
        _ input: inout ByteBuffer,
        endsMessage: Bool,
        into out: inout ByteBuffer,
        atMost room: Int
    ) -> Step {
        if input.readableBytes > 0 { isAtStart = false }
        var step = Step.invalid
        out.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { space in
            let most = UInt32(clamping: min(room, space.count))
            stream.pointee.next_out = space.baseAddress?.assumingMemoryBound(to: UInt8.self)
            stream.pointee.avail_out = most
            defer { stream.pointee.next_out = nil }
            let used = input.withUnsafeReadableBytes { bytes in
                step = run(bytes)
                return bytes.count - Int(stream.pointee.avail_in)
            }
            input.moveReaderIndex(forwardBy: used)
            if step == .drained, endsMessage { step = finish() }
            return Int(most - stream.pointee.avail_out)
        }
        return step
    }

    /// Inflates the omitted tail at the end of a message and prepares for the next message.
    private mutating func finish() -> Step {
        // After a final block nothing was omitted, and the tail alone is not a valid stream.
        if !isAtFinalBlock && !isAtStart {
            guard stream.pointee.avail_out > 0 else { return .full }
            let step = withUnsafeBytes(of: Self.tail) { run(UnsafeRawBufferPointer(rebasing: $0.suffix(tailLeft))) }
            tailLeft = Int(stream.pointee.avail_in)
            guard step == .drained else { return step }
            guard isAtFinalBlock || isBetweenBlocks else { return .invalid }
        }
        tailLeft = 4
        isAtFinalBlock = false
        isAtStart = true
        if noContextTakeover { inflateReset(stream) }
        return .drained
    }

    /// Whether the input ends between two blocks without unused bits. Anywhere else the message was cut short, and the
    /// next one would continue it. zlib sets 128 in `data_type` after a block and counts unused bits in it.
    private var isBetweenBlocks: Bool {
        stream.pointee.data_type & 128 != 0 && stream.pointee.data_type & 63 == 0
    }

    /// Inflates the bytes into the stream's room; `avail_in` then holds the number of bytes left.
    private mutating func run(_ bytes: UnsafeRawBufferPointer) -> Step {
        stream.pointee.avail_in = UInt32(clamping: bytes.count)
        guard bytes.count > 0 || !isAtFinalBlock else { return .drained }
        isAtFinalBlock = false
        stream.pointee.next_in = UnsafeMutablePointer(mutating: bytes.baseAddress?.assumingMemoryBound(to: UInt8.self))
        defer { stream.pointee.next_in = nil }
        while true {
            let status = CZlib.inflate(stream, Z_SYNC_FLUSH)
            switch status {
            case Z_STREAM_END:
                // A final block is legal inside a message and leaves the window as it is (section 7.2.3.5).
                inflateResetKeep(stream)
                isAtFinalBlock = stream.pointee.avail_in == 0
                if isAtFinalBlock { return .drained }
            case Z_OK, Z_BUF_ERROR:
                if stream.pointee.avail_out == 0 { return .full }
                if stream.pointee.avail_in == 0 { return .drained }
                if status == Z_BUF_ERROR { return .invalid }
            default:
                return .invalid
            }
        }
    }
}
