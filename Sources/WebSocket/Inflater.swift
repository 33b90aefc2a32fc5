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
    /// What every message ends with, and what its sender left out.
    private static let tail = ByteBuffer(bytes: [0x00, 0x00, 0xFF, 0xFF])

    /// How an inflating step ended.
    package enum Step {
        /// The room was used up: there may be more.
        case full
        /// All of the input was used up.
        case drained
        /// The bytes are no deflate stream, reach back before its beginning, or end within a block. What came before
        /// that is in the output.
        case invalid
    }

    // As in Deflater: the stream must not move, and nobody else holds it.
    private let stream: UnsafeMutablePointer<z_stream>
    private let noContextTakeover: Bool
    private var tailLeft = Inflater.tail
    /// The input so far ends with a final block: where the message ends there, its sender has left nothing out.
    private var isAtFinalBlock = false
    /// Nothing of the message has come yet. One that stays so is empty: the tail alone would be no stream.
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

    /// Inflates from `input` into `out`, at most `room` bytes.
    package mutating func inflate(_ input: inout ByteBuffer, into out: inout ByteBuffer, atMost room: Int) -> Step {
        if input.readableBytes > 0 { isAtStart = false }
        let (step, used) = run(input, into: &out, atMost: room)
        input.moveReaderIndex(forwardBy: used)
        return step
    }

    /// Inflates what the sender left out at the message's end. Once this has drained the message is complete, and the
    /// next one may begin.
    package mutating func finish(into out: inout ByteBuffer, atMost room: Int) -> Step {
        if isAtFinalBlock || isAtStart { tailLeft = ByteBuffer() }
        if !isAtStart {
            let (step, used) = run(tailLeft, into: &out, atMost: room)
            tailLeft.moveReaderIndex(forwardBy: used)
            guard step == .drained else { return step }
            guard isAtFinalBlock || isBetweenBlocks else { return .invalid }
        }
        tailLeft = Self.tail
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

    private mutating func run(_ input: ByteBuffer, into out: inout ByteBuffer, atMost room: Int) -> (Step, used: Int) {
        guard input.readableBytes > 0 || !isAtFinalBlock else { return (.drained, 0) }
        var isAtFinalBlock = false
        defer { self.isAtFinalBlock = isAtFinalBlock }
        return input.withUnsafeReadableBytes { bytes in
            stream.pointee.next_in = UnsafeMutablePointer(
                mutating: bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
            )
            stream.pointee.avail_in = UInt32(clamping: bytes.count)
            defer { stream.pointee.next_in = nil }
            var left = room
            while true {
                var status = Z_OK
                let produced = out.writeWithUnsafeMutableBytes(minimumWritableBytes: left) { space in
                    let most = min(left, space.count)
                    stream.pointee.next_out = space.baseAddress?.assumingMemoryBound(to: UInt8.self)
                    stream.pointee.avail_out = UInt32(clamping: most)
                    status = CZlib.inflate(stream, Z_SYNC_FLUSH)
                    return most - Int(stream.pointee.avail_out)
                }
                stream.pointee.next_out = nil
                left -= produced
                let used = bytes.count - Int(stream.pointee.avail_in)
                switch status {
                case Z_STREAM_END:
                    // A final block is legal in the middle of a message, and the window lives on behind it
                    // (section 7.2.3.5).
                    inflateResetKeep(stream)
                    isAtFinalBlock = stream.pointee.avail_in == 0
                    if isAtFinalBlock { return (.drained, used) }
                case Z_OK, Z_BUF_ERROR:
                    if left == 0 { return (.full, used) }
                    if stream.pointee.avail_in == 0 { return (.drained, used) }
                    if status == Z_BUF_ERROR { return (.invalid, used) }
                default:
                    return (.invalid, used)
                }
            }
        }
    }
}
