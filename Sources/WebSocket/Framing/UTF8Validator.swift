/// Validates UTF-8 (RFC 3629) that arrives in chunks, and finds the first byte that cannot be part of it.
///
/// Text that is not UTF-8 fails the connection (RFC 6455, section 8.1). Doing so at once, not at the end of the
/// message, keeps a peer from having megabytes of invalid text forwarded. ASCII is skipped eight bytes at a time.
/// keeps a peer from having megabytes of nonsense forwarded. Runs of ASCII are passed over eight bytes at a time.
struct UTF8Validator: Sendable {
    /// Continuation bytes that the current scalar still needs.
    private var missing = 0
    /// Values allowed for the next continuation byte. After some first bytes the range is narrower than 80 to BF, which
    /// excludes overlong forms, surrogates and numbers beyond U+10FFFF.
    private var range: ClosedRange<UInt8> = 0x80...0xBF

    /// Whether no scalar is incomplete.
    var isComplete: Bool { missing == 0 }

    /// Validates the next bytes and returns the offset of the first invalid one; nil if all are valid.
    mutating func firstInvalidByte(in bytes: UnsafeRawBufferPointer) -> Int? {
        var index = 0
        while index < bytes.count {
            if missing == 0 {
                while bytes.count - index >= 8,
                    bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self) & 0x8080_8080_8080_8080 == 0
                {
                    index += 8
                }
                guard index < bytes.count else { return nil }
                guard begin(bytes[index]) else { return index }
            } else {
                guard range.contains(bytes[index]) else { return index }
                missing -= 1
                range = 0x80...0xBF
            }
            index += 1
        }
        return nil
    }

    /// Processes a scalar's first byte; false if no scalar begins with it.
    private mutating func begin(_ byte: UInt8) -> Bool {
        range = 0x80...0xBF
        switch byte {
        case 0x00...0x7F:
            missing = 0
        case 0xC2...0xDF:
            missing = 1
        case 0xE0:
            missing = 2
            range = 0xA0...0xBF
        case 0xED:
            missing = 2
            range = 0x80...0x9F
        case 0xE1...0xEF:
            missing = 2
        case 0xF0:
            missing = 3
            range = 0x90...0xBF
        case 0xF1...0xF3:
            missing = 3
        case 0xF4:
            missing = 3
            range = 0x80...0x8F
        default:
            return false
        }
        return true
    }
}
