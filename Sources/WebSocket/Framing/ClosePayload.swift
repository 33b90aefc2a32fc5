import NIOCore

/// The payload of a Close frame (RFC 6455, section 5.5.1): empty, or a code of two bytes and a reason in UTF-8.
enum ClosePayload {
    /// The longest reason, in bytes of UTF-8.
    static let maximumReason = FrameHeader.maximumControlPayload - 2

    /// Decodes a peer's payload.
    ///
    /// - Throws: ``WebSocketError`` if the code is cut short or may not be sent, or the reason is not UTF-8.
    static func decode(_ payload: ByteBuffer) throws(WebSocketError) -> (code: CloseCode?, reason: String) {
        var rest = payload
        guard rest.readableBytes > 0 else { return (nil, "") }
        guard let number = rest.readInteger(as: UInt16.self) else { throw .truncatedCloseCode }
        let code = CloseCode(rawValue: number)
        guard code.isValidOnWire else { throw .invalidCloseCode(code) }
        var validator = UTF8Validator()
        let invalid = rest.withUnsafeReadableBytes { validator.firstInvalidByte(in: $0) }
        guard invalid == nil, validator.isComplete else { throw .invalidCloseReason }
        return (code, String(buffer: rest))
    }

    /// Encodes a payload. A code that may not be sent is omitted together with the reason. A long reason is truncated
    /// between two scalars.
    static func encode(_ code: CloseCode?, reason: String) -> ByteBuffer {
        guard let code, code.isValidOnWire else { return ByteBuffer() }
        var payload = ByteBuffer(integer: code.rawValue)
        var end = reason.utf8.endIndex
        if let limit = reason.utf8.index(reason.utf8.startIndex, offsetBy: maximumReason, limitedBy: end) {
            end = limit
            while end.samePosition(in: reason.unicodeScalars) == nil {
                end = reason.utf8.index(before: end)
            }
        }
        payload.writeBytes(reason.utf8[..<end])
        return payload
    }
}
