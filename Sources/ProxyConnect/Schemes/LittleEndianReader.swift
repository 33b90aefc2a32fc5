/// Reads numbers and byte ranges by offset; nil if they are out of range.
struct LittleEndianReader {
    private let source: [UInt8]

    init(_ source: [UInt8]) {
        self.source = source
    }

    func bytes(at offset: Int, count: Int) -> [UInt8]? {
        guard offset >= 0, count >= 0, offset <= source.count, count <= source.count - offset else { return nil }
        return Array(source[offset..<offset + count])
    }

    /// Returns a number of at most four bytes.
    func number(at offset: Int, bytes count: Int) -> Int? {
        bytes(at: offset, count: count)?.reversed().reduce(0) { $0 << 8 | Int($1) }
    }
}
