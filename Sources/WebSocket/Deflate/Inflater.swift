import CZlib
import NIOCore

/// Inflates messages of RFC 7692 (section 7.2.2) piece by piece, never more at a time than it is asked for, so that a
/// bomb costs what is taken of it and no more.
///
/// The window is always the widest, 32 KiB, whatever was agreed. Into the output of one call zlib reaches back without
/// regard to a narrower one, so that a peer's distances beyond it would be refused or not as the network cut the bytes.
/// With 32 KiB the answer is always the same: no distance of deflate is longer, and one before the first byte is
/// refused.
///
/// Owns zlib's state and frees it with itself. The state is made once and only reset between messages.
package struct Inflater: ~Copyable, @unchecked Sendable {
    /// What every message ends with, and what its sender left out: 00 00 FF FF.
    private static let tail = UInt32(0x0000_FFFF).bigEndian

    /// How an inflating step ended.
    package enum Step {
        /// The room was used up: there may be more.
        case full
        /// All of the input was used up. If it ends the message, that is complete, and the next one may begin.
        case drained
        /// The bytes are no deflate stream, reach back before its beginning, or end within a block. What came before
        /// that is in the output.
        case invalid
    }

    // As in Deflater: the stream must not move, and nobody else holds it.
    private let stream: UnsafeMutablePointer<z_stream>
    private let noContextTakeover: Bool
    /// Bytes of the tail that are still to be inflated.
    private var tailLeft = 4
    /// The input so far ends with a final block: where the message ends there, its sender has left nothing out.
    private var isAtFinalBlock = false
    /// Nothing of the message has come yet. One that stays so is empty.
    private var isAtStart = true

    private init(stream: UnsafeMutablePointer<z_stream>, noContextTakeover: Bool) {
        self.stream = stream
        self.noContextTakeover = noContextTakeover
    }

    /// Nil where there is no memory for it.
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

    /// Inflates from `input` into `out`, at most `room` bytes and at least one.
    ///
    /// - Parameter endsMessage: the message ends with this input.
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

    /// Inflates what the sender left out at the message's end, and is ready for the next message then.
    private mutating func finish() -> Step {
        // Behind a final block nothing was left out, and the tail alone would be no stream.
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

    /// A block has just ended and no bit is left over. Elsewhere the message was cut short, and the next one would be
    /// taken for its rest. zlib says so in `data_type`: 128 behind a block, and the number of unused bits.
    private var isBetweenBlocks: Bool {
        stream.pointee.data_type & 128 != 0 && stream.pointee.data_type & 63 == 0
    }

    /// Inflates these bytes into the room that the stream has; `avail_in` says what is left of them.
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
                // A final block is legal in the middle of a message, and the window lives on behind it
                // (section 7.2.3.5).
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
