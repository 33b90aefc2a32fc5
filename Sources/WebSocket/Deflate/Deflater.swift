import CZlib
import NIOCore

/// Compresses messages for RFC 7692, section 7.2.1: raw deflate, flushed at the end of each message, without the
/// flush's last four bytes.
///
/// Owns zlib's state, which is created once and only reset between messages.
package struct Deflater: ~Copyable, @unchecked Sendable {
    // zlib keeps a pointer to its stream, so the stream must not move. The owner is not copyable, so no other thread
    // can use the stream.
    private let stream: UnsafeMutablePointer<z_stream>
    private let noContextTakeover: Bool

    private init(stream: UnsafeMutablePointer<z_stream>, noContextTakeover: Bool) {
        self.stream = stream
        self.noContextTakeover = noContextTakeover
    }

    /// Creates a compressor; nil if the window is 8 bits or memory is short.
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

    /// Compresses one message of two parts, not both empty, and appends it to `out`.
    ///
    /// - Returns: false if zlib fails. The connection must then end, and the new bytes in `out` are useless.
    package mutating func compress(_ prefix: ByteBuffer, _ payload: ByteBuffer, into out: inout ByteBuffer) -> Bool {
        let start = out.writerIndex
        if prefix.readableBytes > 0 {
            guard run(prefix, Z_NO_FLUSH, into: &out) else { return false }
        }
        guard run(payload, Z_SYNC_FLUSH, into: &out) else { return false }
        if noContextTakeover { deflateReset(stream) }
        // Every flush ends with an empty stored block, 00 00 FF FF (section 7.2.1).
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
            // zlib keeps no reference to the input after this call.
            defer { stream.pointee.next_in = nil }
            repeat {
                var status = Z_OK
                // Most data shrinks; other data takes further rounds.
                let room = Int(stream.pointee.avail_in) / 2 + 64
                out.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { space in
                    stream.pointee.next_out = space.baseAddress?.assumingMemoryBound(to: UInt8.self)
                    stream.pointee.avail_out = UInt32(clamping: space.count)
                    status = deflate(stream, flush)
                    return space.count - Int(stream.pointee.avail_out)
                }
                stream.pointee.next_out = nil
                guard status == Z_OK || status == Z_BUF_ERROR else { return false }
                // Unused room means that all output was written.
            } while stream.pointee.avail_out == 0
            return stream.pointee.avail_in == 0
        }
    }
}
