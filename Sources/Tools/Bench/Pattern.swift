import Glibc

/// The bytes that travel, made once: a byte's place in its stream says which it must be, so that one that is lost,
/// doubled, moved or another stream's shows.
///
/// A stream repeats one chapter of a prime length, which no program's buffer divides, and begins somewhere within it. The
/// first byte of a chapter is 1; a stream ends with a 0 in that place, so that a tail that is missing shows as well.
/// Comparing is one `memcmp`.
enum Pattern {
    /// The length of a chapter.
    static let chapter = 131_071
    /// The longest piece that is sent or received at once.
    static let longestPiece = 2 * chapter
    /// What stands in the place of a chapter's first byte when no chapter follows.
    static let end: UInt8 = 0

    /// Three chapters: a longest piece from anywhere within the first lies in one.
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

    /// Where in the pattern a stream begins.
    static func start(of stream: Int) -> Int { 1 + stream * 10_007 % (chapter - 1) }

    /// What belongs at a place, and up to two chapters behind it.
    static func with<Result>(from position: Int, _ body: (UnsafeRawPointer) -> Result?) -> Result? {
        bytes.withUnsafeBytes { all in all.baseAddress.flatMap { body($0 + position % chapter) } }
    }

    /// Whether these bytes belong there.
    static func matches(_ found: UnsafeRawPointer, _ count: Int, at position: Int) -> Bool {
        with(from: position) { memcmp(found, $0, count) == 0 } ?? false
    }

    /// Bytes from here to the next place where a stream may end.
    static func restOfChapter(at position: Int) -> Int { (chapter - position % chapter) % chapter }
}
