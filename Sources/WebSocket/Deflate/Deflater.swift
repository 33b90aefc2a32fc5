import CZlib
import NIOCore

/// Compresses messages as RFC 7692 section 7.2.1 has it: raw deflate, flushed at each message's end, without the four
/// bytes that every flush ends with.
///
/// Owns zlib's state and frees it with itself. The state is made once and only reset between messages.
package struct Deflater: ~Copyable, @unchecked Sendable {
    // zlib keeps a pointer back to its stream, so that the stream must not move. Nobody else holds it: the owner is not
    // copyable, which is what makes it safe to send.
    private let stream: UnsafeMutablePointer<z_stream>
    private let noContextTakeover: Bool

    private init(stream: UnsafeMutablePointer<z_stream>, noContextTakeover: Bool) {
        self.stream = stream
        self.noContextTakeover = noContextTakeover
    }

    /// Nil where zlib cannot be set up: for a window of 8 bits, or without memory.
    package static func make(windowBits: Int, noContextTakeover: Bool, options: DeflateOptions) -> Deflater? {
        guard DeflateOptions.windows.contains(windowBits) else { return nil }
        let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        stream.initialize(to: z_stream())
        let status = culvert_deflate_init(
            stream,
            Int32(options.level),
            Int32(windowBits),
            Int32(options.memoryLevel)
        )
        guard status == Z_OK else {
            stream.deallocate()
            return nil
        }
        return Deflater(stream: stream, noContextTakeover: noContextTakeover)
    }

    deinit {
        deflateEnd(stream)
        stream.deallocate()
    }

    /// Appends one message of two parts, which are not both empty, compressed. False where zlib fails, and then the
    /// connection cannot go on; what is in `out` by then is of no use.
    package mutating func compress(_ prefix: ByteBuffer, _ payload: ByteBuffer, into out: inout ByteBuffer) -> Bool {
        let start = out.writerIndex
        if prefix.readableBytes > 0 {
            guard run(prefix, Z_NO_FLUSH, into: &out) else { return false }
        }
        guard run(payload, Z_SYNC_FLUSH, into: &out) else { return false }
        if noContextTakeover { deflateReset(stream) }
        // A flush always ends with an empty stored block, 00 00 FF FF (section 7.2.1).
        guard out.writerIndex - start >= 4 else { return false }
        out.moveWriterIndex(to: out.writerIndex - 4)
        return true
    }

    private func run(_ input: ByteBuffer, _ flush: Int32, into out: inout ByteBuffer) -> Bool {
        input.withUnsafeReadableBytes { bytes in
            stream.pointee.next_in = UnsafeMutablePointer(
                mutating: bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
            )
            stream.pointee.avail_in = UInt32(bytes.count)
            // zlib compares the pointers' validity, not their use: after this call nothing of the input is kept.
            defer { stream.pointee.next_in = nil }
            repeat {
                var status = Z_OK
                // Most data shrinks; what does not is grown into.
                let room = Int(stream.pointee.avail_in) / 2 + 64
                out.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { space in
                    stream.pointee.next_out = space.baseAddress?.assumingMemoryBound(to: UInt8.self)
                    stream.pointee.avail_out = UInt32(clamping: space.count)
                    status = deflate(stream, flush)
                    return space.count - Int(stream.pointee.avail_out)
                }
                stream.pointee.next_out = nil
                guard status == Z_OK || status == Z_BUF_ERROR else { return false }
                // Room that is left over says that everything is out.
            } while stream.pointee.avail_out == 0
            return stream.pointee.avail_in == 0
        }
    }
}
