import NIOCore

/// Writes the extensible form of control payloads (protocol page, section 1). Each field is a tag (1 byte), a length (2
/// bytes) and that many bytes. Readers skip unknown tags.
struct FieldWriter {
    private(set) var bytes = ByteBuffer()

    /// Creates an empty payload.
    ///
    /// - Parameter expected: capacity to reserve, bytes. Zero suits payloads of a few bytes that wait in large numbers.
    init(expecting expected: Int = 0) {
        bytes.reserveCapacity(expected)
    }

    /// Appends raw bytes, truncated to what a length can express.
    mutating func append(_ tag: UInt8, _ value: some Collection<UInt8>) {
        let value = value.prefix(Int(UInt16.max))
        bytes.writeMultipleIntegers(tag, UInt16(truncatingIfNeeded: value.count))
        bytes.writeBytes(value)
    }

    /// Appends text in UTF-8 that ``FieldReader/text(_:atMost:)`` accepts. Unprintable characters are removed and long
    /// text is truncated, since the peer would end the session over a text it cannot read.
    mutating func append(_ tag: UInt8, _ text: String, atMost limit: Int) {
        // Usual texts are addresses and short reasons, one for each visitor.
        if text.utf8.count <= limit, text.utf8.allSatisfy(\.isPrintableASCII) { return append(tag, text.utf8) }
        var kept = String.UnicodeScalarView()
        var length = 0
        for scalar in text.unicodeScalars where scalar.isPrintable {
            length += UTF8.width(scalar)
            guard length <= limit else { break }
            kept.append(scalar)
        }
        append(tag, String(kept).utf8)
    }

    /// Appends a big-endian number in its full width.
    mutating func append<Number: FixedWidthInteger>(_ tag: UInt8, number: Number) {
        bytes.writeMultipleIntegers(tag, UInt16(truncatingIfNeeded: Number.bitWidth / 8), number)
    }
}
