import Glibc

/// The bytes of all streams. The position in a stream determines a byte, so a byte that is lost, doubled, moved or of
/// another stream is noticed.
///
/// A stream repeats one chapter and begins within it. The chapter has a prime length, which no buffer's size divides.
/// The first byte of a chapter is 1. A stream ends with a 0 in that place, so a missing tail is noticed. Comparing is
/// one `memcmp`.
enum Pattern {
    /// The length of a chapter.
    static let chapter = 131_071
    /// The largest chunk that is sent or received at once.
    static let longestPiece = 2 * chapter
    /// The byte at the end of a stream, in place of the first byte of a chapter.
    static let end: UInt8 = 0

    /// Three chapters, so that the largest chunk from any place in the first is contiguous.
    private static let bytes: [UInt8] = {
        var state: UInt32 = 2_463_534_242
        var one: [UInt8] = [1]
        while one.count < chapter {
            state ^= state << 13
            state ^= state >> 17
            state ^= state << 5
            one.append(UInt8(truncatingIfNeeded: state >> 11))
        }
        return one + one + one
    }()

    /// The start of a stream in the pattern.
    static func start(of stream: Int) -> Int { 1 + stream * 10_007 % (chapter - 1) }

    /// The bytes from a place on, up to two chapters.
    static func with<Result>(from position: Int, _ body: (UnsafeRawPointer) -> Result?) -> Result? {
        bytes.withUnsafeBytes { all in all.baseAddress.flatMap { body($0 + position % chapter) } }
    }

    /// Whether these bytes are right at a place.
    static func matches(_ found: UnsafeRawPointer, _ count: Int, at position: Int) -> Bool {
        with(from: position) { memcmp(found, $0, count) == 0 } ?? false
    }

    /// The number of bytes to the next place at which a stream may end.
    static func restOfChapter(at position: Int) -> Int { (chapter - position % chapter) % chapter }
}
