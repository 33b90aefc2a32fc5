import NIOCore

/// Reads the fields that ``FieldWriter`` writes and checks every length.
struct FieldReader {
    /// The tag of the proof. It comes last and covers all earlier fields, including unknown ones.
    static let proofTag: UInt8 = 0xFF
    /// Bytes of a field besides its value.
    private static let headLength = 3

    /// The fields in their order. Tags are unique, so there are at most 256; usual payloads have about ten.
    private var fields: [(tag: UInt8, value: ByteBuffer)] = []
    private let type: FrameType
    /// The bytes that a proof covers: the payload before the proof's field.
    let unproved: ByteBuffer

    /// Splits `payload` into its fields.
    ///
    /// - Throws: ``MuxError`` if a field is cut short, a tag occurs twice, or a field follows the proof.
    init(_ payload: ByteBuffer, of type: FrameType) throws(MuxError) {
        self.type = type
        let whole = payload
        var payload = payload
        var unproved = payload.readableBytes
        // One bit for each tag: a peer may send hundreds of empty fields.
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

    /// Returns the bytes of a field; nil if it is absent.
    func bytes(_ tag: UInt8) -> [UInt8]? { value(tag).map { Array($0.readableBytesView) } }

    /// Returns the bytes of a required field.
    ///
    /// - Throws: ``MuxError`` unless the field has exactly `count` bytes.
    func bytes(_ tag: UInt8, count: Int) throws(MuxError) -> [UInt8] {
        guard let value = bytes(tag), value.count == count else { throw wrongLength(tag, count) }
        return value
    }

    /// Returns a required number.
    ///
    /// - Throws: ``MuxError`` unless the field has exactly the number's width.
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

    /// Returns the bytes of a field that must be the last one, and the payload before it; nil if it is absent.
    ///
    /// - Throws: ``MuxError`` if another field follows, a proof too.
    func last(_ tag: UInt8) throws(MuxError) -> (value: [UInt8], before: ByteBuffer)? {
        guard let value = bytes(tag) else { return nil }
        let length = unproved.readableBytes - value.count - Self.headLength
        guard fields.last?.tag == tag, let before = unproved.getSlice(at: unproved.readerIndex, length: length) else {
            throw MuxError(.malformedPayload, "\(type): field \(tag) must be the last one")
        }
        return (value, before)
    }

    private func wrongLength(_ tag: UInt8, _ count: Int) -> MuxError {
        MuxError(.malformedPayload, "\(type): field \(tag) must have \(count) bytes")
    }

    /// Returns a number; nil if the field is absent.
    ///
    /// - Throws: ``MuxError`` unless the field has exactly the number's width.
    func optionalNumber<Number: FixedWidthInteger & UnsignedInteger>(
        _ tag: UInt8,
        as: Number.Type = Number.self
    ) throws(MuxError) -> Number? {
        value(tag) == nil ? nil : try number(tag)
    }

    /// Returns printable text; empty if the field is absent.
    ///
    /// - Throws: ``MuxError`` if the text exceeds `limit` bytes or has control characters, since names and reasons
    ///   reach logs and terminals.
    func text(_ tag: UInt8, atMost limit: Int) throws(MuxError) -> String {
        guard let value = value(tag) else { return "" }
        let bytes = value.readableBytesView
        guard bytes.count <= limit else { throw unprintable(tag, limit) }
        if bytes.allSatisfy(\.isPrintableASCII) { return String(decoding: bytes, as: UTF8.self) }
        guard
            let text = String(validating: bytes, as: UTF8.self),
            text.unicodeScalars.allSatisfy(\.isPrintable)
        else { throw unprintable(tag, limit) }
        return text
    }

    private func unprintable(_ tag: UInt8, _ limit: Int) -> MuxError {
        MuxError(.malformedPayload, "\(type): field \(tag) is not printable text of at most \(limit) bytes")
    }
}
