import HTTP1

/// Composes a line of the log, as bytes. Each stream causes a line at each end, so a line must be cheap.
struct LogLine {
    /// The capacity in bytes, which is enough for most lines.
    private static let usualLength = 320
    /// The limit of characters of one value.
    static let longestValue = 600

    private(set) var bytes: [UInt8] = []

    init() {
        bytes.reserveCapacity(Self.usualLength)
    }

    /// Appends a text that is known to be plain.
    mutating func append(_ text: String) {
        bytes.append(contentsOf: text.utf8)
    }

    mutating func append(_ byte: UInt8) {
        bytes.append(byte)
    }

    /// Appends a text from a peer, with unprintable characters escaped.
    mutating func append(shown text: String) {
        guard !appendPlain(text, where: { (0x20..<0x7F).contains($0) }) else { return }
        append(text.escapedForDisplay(limit: Self.longestValue))
    }

    /// Appends a value from a peer, in quotation marks if its end would not be clear.
    mutating func append(value text: String) {
        if !text.isEmpty, appendPlain(text, where: { (0x21..<0x7F).contains($0) && !Self.isMark($0) }) { return }
        let shown = text.escapedForDisplay(limit: Self.longestValue)
        if shown.isEmpty || shown.utf8.contains(where: Self.isMark) { append(quoted: shown) } else { append(shown) }
    }

    /// Whether the byte ends a value or begins another one.
    private static func isMark(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || byte == UInt8(ascii: "=") || byte == UInt8(ascii: "\"")
    }

    /// Appends a value from a peer as a JSON string.
    mutating func append(json text: String) {
        append(quoted: text.escapedForDisplay(limit: Self.longestValue))
    }

    /// Appends a text without control characters in quotation marks, and escapes those within.
    private mutating func append(quoted text: String) {
        append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { append(UInt8(ascii: "\\")) }
            append(byte)
        }
        append(UInt8(ascii: "\""))
    }

    /// Appends a text if it is short and has only plain bytes; returns whether it has.
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
