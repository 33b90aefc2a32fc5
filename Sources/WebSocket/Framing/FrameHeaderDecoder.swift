/// Decodes a frame header byte by byte and refuses it at the first byte that breaks a rule.
///
/// The decoder stores the received part as values, so a header in several chunks needs no buffer.
struct FrameHeaderDecoder: Sendable {
    /// The contents of the first byte.
    private struct Start {
        var isFinal: Bool
        var isCompressed: Bool
        var opcode: Opcode
    }

    private enum State {
        case firstByte
        case secondByte(Start)
        case length(Start, value: UInt64, width: Int, received: Int)
        case maskingKey(Start, length: Int, key: UInt32, received: Int)
    }

    private let role: WebSocketRole
    /// Whether a message may be compressed.
    var allowsCompression: Bool
    private var state = State.firstByte

    /// Creates a decoder for the frames that an end of this role receives.
    init(role: WebSocketRole, allowsCompression: Bool) {
        self.role = role
        self.allowsCompression = allowsCompression
    }

    /// Processes one byte and returns the header if it is complete. `messages` decides whether a data frame may begin
    /// and have its length.
    ///
    /// - Throws: ``WebSocketError`` if the byte breaks a rule. The decoder must not be used afterwards.
    mutating func receive(
        _ byte: UInt8,
        messages: inout MessageRules
    ) throws(WebSocketError) -> FrameHeader? {
        switch state {
        case .firstByte:
            let start = Start(
                isFinal: byte & 0x80 != 0,
                isCompressed: byte & 0x40 != 0,
                opcode: Opcode(firstByte: byte)
            )
            try checkReservedBits(byte, start)
            guard start.opcode.isAssigned else { throw .unknownOpcode(start.opcode) }
            if start.opcode.isControl {
                guard start.isFinal else { throw .fragmentedControlFrame }
            } else {
                try messages.beginFrame(start.opcode, isCompressed: start.isCompressed)
            }
            state = .secondByte(start)
            return nil

        case .secondByte(let start):
            let isMasked = byte & 0x80 != 0
            guard isMasked == role.expectsMaskedInput else {
                throw isMasked ? .maskedFrame : .unmaskedFrame(start.opcode)
            }
            let length = byte & 0x7F
            guard length > FrameHeader.maximumControlPayload else {
                return try finishLength(start, UInt64(length), messages: &messages)
            }
            guard !start.opcode.isControl else { throw .oversizedControlFrame }
            state = .length(start, value: 0, width: length == 126 ? 2 : 8, received: 0)
            return nil

        case .length(let start, let begun, let width, let received):
            guard width == 2 || received > 0 || byte & 0x80 == 0 else { throw .lengthOverflow }
            let value = begun << 8 | UInt64(byte)
            guard received + 1 == width else {
                state = .length(start, value: value, width: width, received: received + 1)
                return nil
            }
            guard value > (width == 2 ? 125 : 0xFFFF) else { throw .lengthNotMinimal }
            return try finishLength(start, value, messages: &messages)

        case .maskingKey(let start, let length, let begun, let received):
            let key = begun | UInt32(byte) << UInt32(received * 8)
            guard received == 3 else {
                state = .maskingKey(start, length: length, key: key, received: received + 1)
                return nil
            }
            return finish(start, length, key)
        }
    }

    /// Checks the reserved bits; no other code does. RSV1 is legal only if compression was negotiated, on the first
    /// frame of a message (RFC 7692, section 6).
    private func checkReservedBits(_ byte: UInt8, _ start: Start) throws(WebSocketError) {
        guard byte & 0x30 == 0 else { throw .reservedBits }
        guard start.isCompressed else { return }
        guard allowsCompression, start.opcode == .text || start.opcode == .binary else { throw .reservedBits }
    }

    private mutating func finishLength(
        _ start: Start,
        _ value: UInt64,
        messages: inout MessageRules
    ) throws(WebSocketError) -> FrameHeader? {
        guard let length = Int(exactly: value) else { throw .lengthOverflow }
        if !start.opcode.isControl {
            try messages.admitPayload(length)
        }
        guard role.expectsMaskedInput else { return finish(start, length, nil) }
        state = .maskingKey(start, length: length, key: 0, received: 0)
        return nil
    }

    private mutating func finish(_ start: Start, _ length: Int, _ key: UInt32?) -> FrameHeader {
        state = .firstByte
        return FrameHeader(
            isFinal: start.isFinal,
            isCompressed: start.isCompressed,
            opcode: start.opcode,
            maskingKey: key,
            payloadLength: length
        )
    }
}
