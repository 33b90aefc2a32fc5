import NIOCore

/// The form of control payloads, which can grow (protocol page, section 1): a sequence of fields, each a tag (1 byte),
/// a length (2 bytes) and that many bytes. A reader skips tags that it does not know.
struct FieldWriter {
    private(set) var bytes = ByteBuffer()

    /// - Parameter expected: bytes for which there is room at once. None where many may wait, of a few bytes each.
    init(expecting expected: Int = 0) {
        bytes.reserveCapacity(expected)
    }

    /// Appends raw bytes; what would not fit into a length is cut off.
    mutating func append(_ tag: UInt8, _ value: some Collection<UInt8>) {
        let value = value.prefix(Int(UInt16.max))
        bytes.writeMultipleIntegers(tag, UInt16(truncatingIfNeeded: value.count))
        bytes.writeBytes(value)
    }

    /// Appends text in UTF-8, as ``FieldReader/text(_:atMost:)`` takes it: what cannot be printed is left out and what
    /// is too long is cut, because a reason of ours that the peer refuses to read would end the session.
    mutating func append(_ tag: UInt8, _ text: String, atMost most: Int) {
        // Most are addresses and short reasons, and one of them goes with each visitor.
        if text.utf8.count <= most, text.utf8.allSatisfy(\.isPrintableASCII) { return append(tag, text.utf8) }
        var kept = String.UnicodeScalarView()
        var length = 0
        for scalar in text.unicodeScalars where scalar.isPrintable {
            length += UTF8.width(scalar)
            guard length <= most else { break }
            kept.append(scalar)
        }
        append(tag, String(kept).utf8)
    }

    /// Appends a number, big-endian, in its full width.
    mutating func append<Number: FixedWidthInteger>(_ tag: UInt8, number: Number) {
        bytes.writeMultipleIntegers(tag, UInt16(truncatingIfNeeded: Number.bitWidth / 8), number)
    }
}

/// Reads what ``FieldWriter`` writes, with every length checked.
struct FieldReader {
    /// The tag of the proof, which stands last and covers all that stands before it, known to this version or not.
    static let proofTag: UInt8 = 0xFF

    /// In the order in which they came. No tag occurs twice, so that there are 256 at most and few in truth.
    private var fields: [(tag: UInt8, value: ByteBuffer)] = []
    private let type: FrameType
    /// What a proof covers: the payload up to the proof's field.
    let unproved: ByteBuffer

    /// Splits `payload` into its fields.
    ///
    /// - Throws: ``MuxError`` where a field is cut short, a tag occurs twice, or something follows the proof.
    init(_ payload: ByteBuffer, of type: FrameType) throws(MuxError) {
        self.type = type
        let whole = payload
        var payload = payload
        var unproved = payload.readableBytes
        // A bit for each tag: a peer may send hundreds of empty fields.
        var seen = SIMD4<UInt64>()
        while let tag = payload.readInteger(as: UInt8.self) {
            guard fields.last?.tag != Self.proofTag else {
                throw MuxError(.malformedPayload, "\(type): field \(tag) follows the proof")
            }
            if tag == Self.proofTag { unproved -= payload.readableBytes + 1 }
            guard
                let length = payload.readInteger(as: UInt16.self),
                let value = payload.readSlice(length: Int(length))
            else { throw MuxError(.malformedPayload, "\(type): field \(tag) is cut short") }
            let (word, bit) = (Int(tag >> 6), UInt64(1) << (tag & 63))
            guard seen[word] & bit == 0 else {
                throw MuxError(.malformedPayload, "\(type): field \(tag) occurs twice")
            }
            seen[word] |= bit
            fields.append((tag, value))
        }
        let hasProof = fields.last?.tag == Self.proofTag
        self.unproved = hasProof ? whole.getSlice(at: whole.readerIndex, length: unproved) ?? whole : whole
    }

    private func value(_ tag: UInt8) -> ByteBuffer? { fields.first { $0.tag == tag }?.value }

    /// Bytes of a field, nil where it is absent.
    func bytes(_ tag: UInt8) -> [UInt8]? { value(tag).map { Array($0.readableBytesView) } }

    /// Bytes of a field that must be there with exactly `count` of them.
    func bytes(_ tag: UInt8, count: Int) throws(MuxError) -> [UInt8] {
        guard let value = bytes(tag), value.count == count else { throw wrongLength(tag, count) }
        return value
    }

    /// A number in its full width.
    func number<Number: FixedWidthInteger & UnsignedInteger>(
        _ tag: UInt8,
        as: Number.Type = Number.self
    ) throws(MuxError) -> Number {
        let count = Number.bitWidth / 8
        guard
            let value = value(tag), value.readableBytes == count,
            let number = value.getInteger(at: value.readerIndex, as: Number.self)
        else { throw wrongLength(tag, count) }
        return number
    }

    private func wrongLength(_ tag: UInt8, _ count: Int) -> MuxError {
        MuxError(.malformedPayload, "\(type): field \(tag) must have \(count) bytes")
    }

    /// A number that may be absent.
    func optionalNumber<Number: FixedWidthInteger & UnsignedInteger>(
        _ tag: UInt8,
        as: Number.Type = Number.self
    ) throws(MuxError) -> Number? {
        value(tag) == nil ? nil : try number(tag)
    }

    /// Printable text of at most `most` bytes; control characters are refused, because names and reasons reach logs
    /// and terminals.
    func text(_ tag: UInt8, atMost most: Int) throws(MuxError) -> String {
        guard let value = value(tag) else { return "" }
        let bytes = value.readableBytesView
        guard bytes.count <= most else { throw unprintable(tag, most) }
        if bytes.allSatisfy(\.isPrintableASCII) { return String(decoding: bytes, as: UTF8.self) }
        guard
            let text = String(validating: bytes, as: UTF8.self),
            text.unicodeScalars.allSatisfy(\.isPrintable)
        else { throw unprintable(tag, most) }
        return text
    }

    private func unprintable(_ tag: UInt8, _ most: Int) -> MuxError {
        MuxError(.malformedPayload, "\(type): field \(tag) is no printable text of \(most) bytes")
    }
}

extension UInt8 {
    /// Whether it stands for a character that can be printed, in texts that have no others than those of ASCII.
    fileprivate var isPrintableASCII: Bool { (0x20..<0x7F).contains(self) }
}

extension Unicode.Scalar {
    /// Neither a control character nor a format character that could rearrange a terminal's line.
    var isPrintable: Bool {
        switch properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: false
        default: true
        }
    }
}
