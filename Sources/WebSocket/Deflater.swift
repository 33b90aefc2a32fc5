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
    /// Where the compressed bytes go, kept from one short message to the next: they are copied on behind the frame's
    /// header, and two calls of the allocator weigh as much as a tenth of compressing 1 KiB.
    private var scratch = ByteBuffer()
    /// Beyond this a message's buffer is given back after it, bytes.
    private static let keptScratch = 4_096

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

    /// Compresses one message of two parts, which are not both empty; nil where zlib fails, and then the connection
    /// cannot go on. Copy the bytes and let go of the buffer before the next message, so that it can be used again.
    package mutating func compress(_ prefix: ByteBuffer, _ payload: ByteBuffer) -> ByteBuffer? {
        let length = prefix.readableBytes + payload.readableBytes
        scratch.clear(minimumCapacity: length / 2 + 64)  // Most data shrinks; what does not is grown into.
        if prefix.readableBytes > 0 {
            guard run(prefix, Z_NO_FLUSH) else { return nil }
        }
        guard run(payload, Z_SYNC_FLUSH) else { return nil }
        if noContextTakeover { deflateReset(stream) }
        // A flush always ends with an empty stored block, 00 00 FF FF (section 7.2.1).
        guard scratch.readableBytes >= 4 else { return nil }
        scratch.moveWriterIndex(to: scratch.writerIndex - 4)
        guard scratch.capacity > Self.keptScratch else { return scratch }
        return scratch.take()
    }

    private mutating func run(_ input: ByteBuffer, _ flush: Int32) -> Bool {
        let stream = stream
        return input.withUnsafeReadableBytes { bytes in
            stream.pointee.next_in = UnsafeMutablePointer(
                mutating: bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
            )
            stream.pointee.avail_in = UInt32(bytes.count)
            // zlib compares the pointers' validity, not their use: after this call nothing of the input is kept.
            defer { stream.pointee.next_in = nil }
            repeat {
                var status = Z_OK
                let room = max(256, Int(stream.pointee.avail_in) / 2)
                scratch.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { space in
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

extension ByteBuffer {
    /// The bytes, with nothing left here.
    fileprivate mutating func take() -> ByteBuffer {
        defer { self = ByteBuffer() }
        return self
    }
}
