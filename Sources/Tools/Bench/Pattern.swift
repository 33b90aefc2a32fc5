import Glibc

/// The bytes of all streams. The position in a stream determines each byte, so a comparison detects lost, repeated and
/// moved bytes, and those of other streams.
///
/// A stream repeats one period and begins within it. The length of the period is prime, so it is not a multiple of a
/// buffer's size. The first byte of a period is 1. A stream ends with a 0 in that place, which detects a missing end. A
/// comparison is one `memcmp`.
enum Pattern {
    /// The length of a period.
    static let period = 131_071
    /// The largest chunk that is sent or received at once.
    static let maximumChunk = 2 * period
    /// The byte at the end of a stream, in place of the first byte of a period.
    static let end: UInt8 = 0

    /// Three periods, so that the largest chunk from any position in the first is contiguous.
    private static let bytes: [UInt8] = {
        var state: UInt32 = 2_463_534_242
        var one: [UInt8] = [1]
        while one.count < period {
            state ^= state << 13
            state ^= state >> 17
            state ^= state << 5
            one.append(UInt8(truncatingIfNeeded: state >> 11))
        }
        return one + one + one
    }()

    /// The start of a stream in the pattern.
    static func start(of stream: Int) -> Int { 1 + stream * 10_007 % (period - 1) }

    /// Calls a closure with the bytes from a position on, up to two periods.
    static func with<Result>(from position: Int, _ body: (UnsafeRawPointer) -> Result?) -> Result? {
        bytes.withUnsafeBytes { all in all.baseAddress.flatMap { body($0 + position % period) } }
    }

    /// Whether these bytes equal the pattern at a position.
    static func matches(_ found: UnsafeRawPointer, _ count: Int, at position: Int) -> Bool {
        with(from: position) { memcmp(found, $0, count) == 0 } ?? false
    }

    /// The number of bytes to the next position at which a stream may end.
    static func restOfPeriod(at position: Int) -> Int { (period - position % period) % period }
}
