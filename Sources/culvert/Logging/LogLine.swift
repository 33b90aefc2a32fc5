import HTTP1

/// One line of the log while it is being written, as bytes: a line goes with each stream at each end, and what it costs
/// is a part of what a visitor costs.
struct LogLine {
    /// Bytes that a line has mostly, or fewer.
    private static let usualLength = 320
    /// Characters of one value that are shown.
    static let longestValue = 600

    private(set) var bytes: [UInt8] = []

    init() {
        bytes.reserveCapacity(Self.usualLength)
    }

    /// Appends what is known to be plain.
    mutating func append(_ text: String) {
        bytes.append(contentsOf: text.utf8)
    }

    mutating func append(_ byte: UInt8) {
        bytes.append(byte)
    }

    /// Appends a text of strangers, with what cannot be printed escaped.
    mutating func append(shown text: String) {
        guard !appendPlain(text, where: { (0x20..<0x7F).contains($0) }) else { return }
        append(text.escapedForDisplay(limit: Self.longestValue))
    }

    /// The same, in quotation marks where a reader would not know where it ends.
    mutating func append(value text: String) {
        if !text.isEmpty, appendPlain(text, where: { (0x21..<0x7F).contains($0) && !Self.isMark($0) }) { return }
        let shown = text.escapedForDisplay(limit: Self.longestValue)
        if shown.isEmpty || shown.utf8.contains(where: Self.isMark) { append(quoted: shown) } else { append(shown) }
    }

    /// What ends a value or begins another one.
    private static func isMark(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || byte == UInt8(ascii: "=") || byte == UInt8(ascii: "\"")
    }

    /// The same, as a string of JSON.
    mutating func append(json text: String) {
        append(quoted: text.escapedForDisplay(limit: Self.longestValue))
    }

    /// Text without control characters, in quotation marks; those within are escaped.
    private mutating func append(quoted text: String) {
        append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { append(UInt8(ascii: "\\")) }
            append(byte)
        }
        append(UInt8(ascii: "\""))
    }

    /// Appends a text that is short and has only such bytes; says whether it has.
    @inline(__always)
    private mutating func appendPlain(_ text: String, where isPlain: (UInt8) -> Bool) -> Bool {
        var text = text
        return text.withUTF8 { utf8 in
            guard utf8.count <= Self.longestValue, utf8.allSatisfy(isPlain) else { return false }
            bytes.append(contentsOf: utf8)
            return true
        }
    }

    /// Appends bytes that are known to be plain.
    mutating func append(_ some: UnsafeMutableRawBufferPointer) {
        bytes.append(contentsOf: some)
    }
}
