import NIOCore

/// One end of a WebSocket connection after its opening handshake: bytes go in, events and bytes come out.
///
/// It does no input or output and knows no time. A caller hands over what it reads from the socket, asks for events
/// until there are none, writes what `takeOutput` gives, and writes messages that it encodes itself:
///
/// ```swift
/// connection.receive(bytes)
/// while let event = try connection.nextEvent() { ... }
/// if let control = connection.takeOutput() { write(control) }
/// ```
///
/// Not enforced here, for want of a clock and a socket: how long the peer may take for its Close, which end closes the
/// TCP connection first (the server, RFC 6455 section 7.1.1), how often pings may come, and whether text that is sent
/// is UTF-8. Messages are sent in one frame each.
///
/// With permessage-deflate agreed it owns zlib's state, made when it is first needed and reused from message to message;
/// that is why a connection cannot be copied.
public struct Connection: ~Copyable, Sendable {
    /// Bytes of a compressed message that are inflated at a time.
    package static let inflatedPiece = 65_536
    /// The largest buffer of a piece that is kept for the next one, bytes.
    private static let keptPiece = 4_096
    /// The longest match of deflate, bytes (RFC 1951 section 3.2.5).
    private static let longestMatch = 258

    private enum State {
        /// Both ends may send.
        case open
        /// Our Close is in the output or beyond, the peer's has not come.
        case closing
        /// Nothing is read or sent any more. `isClean` when both ends have sent Close.
        case closed(isClean: Bool)
    }

    /// Which end this is.
    public let role: WebSocketRole
    private let limits: WebSocketLimits
    private var state = State.open
    private var masks: MaskSource
    private var decoder: FrameDecoder
    private var messages: MessageRules
    /// The buffer being read, and those handed over before it was used up.
    private var input = ByteBuffer()
    private var laterInput = CircularBuffer<ByteBuffer>(initialCapacity: 1)
    private let deflate: DeflateAgreement?
    private var deflater: Deflater?
    private var inflater: Inflater?
    /// What inflating has made of the message so far, and what it made of the one before: the best guess for the next.
    private var inflatedBytes = 0
    private var expectedBytes = 0
    /// What came of a compressed message and is not inflated yet.
    private var compressed: (bytes: ByteBuffer, endsMessage: Bool)?
    /// The piece that was inflated last, if it is short: its memory is used again once nobody else holds it. Two calls
    /// of the allocator weigh 3 % of inflating 1 KiB.
    private var lastPiece = ByteBuffer()
    /// An error that comes after an event that was returned before it.
    private var pendingError: WebSocketError?
    private var output = ByteBuffer()

    /// True once our Close is in the output or has been taken from there.
    public private(set) var closeSent = false
    /// True once the peer's Close has come.
    public private(set) var closeReceived = false

    /// A connection whose opening handshake is done.
    ///
    /// - Parameters:
    ///   - role: which end this is.
    ///   - limits: what is taken from the peer.
    ///   - masks: where a client's masking keys come from; a server uses none.
    ///   - acceptsText: false to refuse a text message at its first byte, with 1003.
    ///   - deflate: what was agreed about compression; nil where nothing was.
    public init(
        role: WebSocketRole,
        limits: WebSocketLimits = .default,
        masks: MaskSource = MaskSource(),
        acceptsText: Bool = true,
        deflate: DeflateAgreement? = nil
    ) {
        self.role = role
        self.limits = limits
        self.masks = masks
        self.deflate = deflate
        decoder = FrameDecoder(role: role, allowsCompression: deflate != nil)
        messages = MessageRules(limits: limits, acceptsText: acceptsText)
    }

    /// Whether compressed messages are taken, where they were agreed on. Off for a peer that has not proved itself yet,
    /// so that no stranger makes us inflate; one that comes all the same is a protocol error.
    public var acceptsCompressed: Bool {
        get { decoder.allowsCompression }
        set { decoder.allowsCompression = newValue && deflate != nil }
    }

    /// True while messages and pings may be sent.
    public var isOpen: Bool {
        if case .open = state { true } else { false }
    }

    /// True once the connection is over: both ends have sent Close, the peer has failed, or its bytes have ended. What
    /// is in the output is still to be written; then the TCP connection can be closed.
    public var isClosed: Bool {
        if case .closed = state { true } else { false }
    }

    // MARK: Receiving

    /// Hands over bytes from the socket. They are not copied. After the end of the connection they are dropped.
    public mutating func receive(_ bytes: consuming ByteBuffer) {
        guard !isClosed, bytes.readableBytes > 0 else { return }
        if input.readableBytes == 0 && laterInput.isEmpty {
            input = bytes
        } else {
            laterInput.append(bytes)
        }
    }

    /// The next event in what was received, or nil when more is needed or the connection is over.
    ///
    /// - Throws: what the peer did wrong. The output then ends with a Close of that error's code, unless one was sent
    ///   before; the connection is over, and what else was received is dropped.
    public mutating func nextEvent() throws(WebSocketError) -> WebSocketEvent? {
        do throws(WebSocketError) {
            if let error = pendingError { throw error }
            while !isClosed {
                if compressed != nil {
                    if let event = try inflate() { return event }
                } else if let part = try decoder.next(from: &input, messages: &messages) {
                    if let event = try receive(part) { return event }
                } else if let next = laterInput.popFirst() {
                    input = next
                } else {
                    // An idle connection must not hold on to the buffer that its last bytes came in.
                    input = ByteBuffer()
                    return nil
                }
            }
            return nil
        } catch {
            queueClose(error.closeCode, reason: "")
            end(isClean: false)
            throw error
        }
    }

    /// The peer's bytes have ended. Ask for the events before.
    ///
    /// - Returns: true when the closing handshake was complete; false when it was not, which is what RFC 6455 calls 1006.
    public mutating func inputClosed() -> Bool {
        if case .closed(let isClean) = state { return isClean }
        end(isClean: false)
        return false
    }

    private mutating func receive(_ part: FrameDecoder.Part) throws(WebSocketError) -> WebSocketEvent? {
        switch part {
        case .data(let bytes, let endsMessage):
            guard messages.isCompressed else { return try deliver(bytes, endsMessage) }
            compressed = (bytes, endsMessage)
            return nil
        case .control(.ping, let payload):
            if isOpen { try queue(.pong, payload) }
            return .ping(payload)
        case .control(.pong, let payload):
            return .pong(payload)
        case .control(_, let payload):
            let (code, reason) = try ClosePayload.decode(payload)
            closeReceived = true
            queueClose(code, reason: "")
            end(isClean: true)
            return .close(code, reason: reason)
        }
    }

    private mutating func deliver(_ bytes: ByteBuffer, _ endsMessage: Bool) throws(WebSocketError) -> WebSocketEvent? {
        let (event, error) = messages.receive(bytes, endsMessage: endsMessage)
        guard let error else { return event }
        guard let event else { throw error }
        pendingError = error
        return event
    }

    /// Inflates the next piece of what has come, one byte beyond the message's limit at most: a bomb is noticed there
    /// and not behind it.
    ///
    /// What came out before an error is still delivered, as with text that is not UTF-8: what is delivered must not
    /// depend on where the network cut the bytes.
    private mutating func inflate() throws(WebSocketError) -> WebSocketEvent? {
        guard let deflate, case (var input, let endsMessage)? = compressed.take() else { return nil }
        if inflater == nil {
            let (noContextTakeover, _) = deflate.direction(from: role == .server ? .client : .server)
            inflater = Inflater.make(noContextTakeover: noContextTakeover)
        }
        // One piece for a message like the one before, or for four times what came; never more than the bound.
        let guess = max(256, min(input.readableBytes, Self.inflatedPiece) * 4, expectedBytes - inflatedBytes)
        let wanted = min(guess, Self.inflatedPiece)
        let left = messages.inflatedRoom
        let room = left < wanted ? left + 1 : wanted
        lastPiece.clear(minimumCapacity: room)
        let step = inflater?.inflate(&input, endsMessage: endsMessage, into: &lastPiece, atMost: room) ?? .invalid
        var piece = lastPiece
        if piece.capacity > Self.keptPiece { lastPiece = ByteBuffer() }
        let isComplete = step == .drained && endsMessage
        if step == .full { compressed = (input, endsMessage) }
        guard step != .invalid, piece.readableBytes <= left else {
            let isTooLong = piece.readableBytes > left
            return try deliver(
                piece.readSlice(length: min(left, piece.readableBytes)) ?? piece,
                before: isTooLong ? .messageTooLarge : .invalidDeflate
            )
        }
        messages.inflated(piece.readableBytes)
        inflatedBytes += piece.readableBytes
        if isComplete {
            // One more than the message, so that its end is seen in the same step; and zlib goes byte by byte where there
            // is no room for the longest match, which costs 4 % at 1 KiB.
            expectedBytes = min(inflatedBytes, Self.inflatedPiece) + Self.longestMatch + 1
            inflatedBytes = 0
        }
        guard isComplete || piece.readableBytes > 0 else { return nil }
        return try deliver(piece, isComplete)
    }

    /// Delivers the last bytes that came before an error, if there are any.
    private mutating func deliver(
        _ bytes: ByteBuffer,
        before error: WebSocketError
    ) throws(WebSocketError) -> WebSocketEvent? {
        guard bytes.readableBytes > 0, let event = try deliver(bytes, false) else { throw error }
        // Text that is not UTF-8 comes first where both are wrong.
        pendingError = pendingError ?? error
        return event
    }

    private mutating func end(isClean: Bool) {
        state = .closed(isClean: isClean)
        input = ByteBuffer()
        laterInput.removeAll()
        compressed = nil
        lastPiece = ByteBuffer()
        pendingError = nil
    }

    // MARK: Sending

    /// Appends one complete message as a single frame; prefix and payload together are its payload. Both are copied,
    /// and masked by a client, in one pass. What `takeOutput` gives must be written before or after, not within.
    ///
    /// With permessage-deflate agreed the message is compressed, unless it is short, or would not become shorter and the
    /// compressor begins anew with each message anyway.
    ///
    /// - Throws: `notOpen` once our Close has gone, `impossibleLength` for payloads that no memory could hold. Nothing
    ///   is appended then, and the connection goes on. `compressorFailed` when zlib does: close the connection.
    ///
    /// - Parameter compress: false to send the message as it is, whatever was agreed.
    public mutating func encodeMessage(
        _ kind: MessageKind,
        prefix: ByteBuffer = ByteBuffer(),
        payload: ByteBuffer,
        compress isCompressing: Bool = true,
        into out: inout ByteBuffer
    ) throws(WebSocketError) {
        let header = try messageHeader(kind, prefix, payload.readableBytes)
        if isCompressing, try encodeCompressed(header, prefix, payload, into: &out) { return }
        header.encode(prefix, payload, into: &out)
    }

    /// Appends the message compressed; false, and nothing appended, where it is better sent as it is.
    private mutating func encodeCompressed(
        _ plain: FrameHeader,
        _ prefix: ByteBuffer,
        _ payload: ByteBuffer,
        into out: inout ByteBuffer
    ) throws(WebSocketError) -> Bool {
        let length = plain.payloadLength
        // zlib makes nothing at all of a flush without input, and counts its input in 32 bits.
        guard let deflate, length >= max(1, deflate.options.minimumBytes), length <= Int(Int32.max) else {
            return false
        }
        let (noContextTakeover, windowBits) = deflate.direction(from: role)
        // The peer may have asked for a window that zlib does not compress with. Nobody has to compress.
        guard windowBits >= DeflateOptions.narrowestForCompressing else { return false }
        if deflater == nil {
            deflater = Deflater.make(
                windowBits: windowBits,
                noContextTakeover: noContextTakeover,
                options: deflate.options
            )
        }
        // The header's length depends on what comes out: room is left for the longest.
        let start = out.writerIndex
        out.reserveCapacity(minimumWritableBytes: FrameHeader.maximumBytes + length / 2 + 64)
        out.moveWriterIndex(forwardBy: FrameHeader.maximumBytes)
        let isCompressed = deflater?.compress(prefix, payload, into: &out) ?? false
        var header = plain
        header.isCompressed = true
        header.payloadLength = out.writerIndex - start - FrameHeader.maximumBytes
        // With a window that lives on the peer must see all that went into it.
        guard isCompressed, !noContextTakeover || header.payloadLength < length else {
            out.moveWriterIndex(to: start)
            if isCompressed { return false }
            throw .compressorFailed
        }
        header.encode(at: start, in: &out)
        return true
    }

    /// Appends the header of a message in a single frame, and the first bytes of its payload, so that the rest can be
    /// written behind it by reference, without a copy. Exactly `payloadLength` bytes must be written next. Only for a
    /// server: a client's payload must be masked.
    ///
    /// - Throws: `payloadNeedsMask` for a client, and as `encodeMessage` does.
    public mutating func encodeMessageHead(
        _ kind: MessageKind,
        prefix: ByteBuffer = ByteBuffer(),
        payloadLength: Int,
        into out: inout ByteBuffer
    ) throws(WebSocketError) {
        guard !role.masksOutput else { throw .payloadNeedsMask }
        let header = try messageHeader(kind, prefix, payloadLength)
        header.encode(prefix, ByteBuffer(), into: &out)
    }

    /// Puts a Ping into the output, with a payload of up to 125 bytes.
    ///
    /// - Throws: `controlPayloadTooLong`, `controlQueueFull` when too much waits to be taken, `notOpen`. The connection
    ///   goes on as before.
    public mutating func ping(_ payload: ByteBuffer = ByteBuffer()) throws(WebSocketError) {
        guard isOpen else { throw .notOpen }
        guard payload.readableBytes <= FrameHeader.maximumControlPayload else { throw .controlPayloadTooLong }
        try queue(.ping, payload)
    }

    /// Starts the closing handshake: puts a Close into the output. Events may still come until the peer's Close does.
    /// Has no effect once a Close has been sent or the connection is over.
    ///
    /// - Parameters:
    ///   - code: why; a code that may not be sent (1005, 1006, 1015 and unassigned ones) is left out, like nil.
    ///   - reason: for people; cut between two scalars after 123 bytes of UTF-8, and left out without a code.
    public mutating func close(_ code: CloseCode?, reason: String = "") {
        guard isOpen else { return }
        queueClose(code, reason: reason)
        state = .closing
    }

    /// The control frames that wait to be written, in order, or nil when there are none. They go before further messages.
    public mutating func takeOutput() -> ByteBuffer? {
        guard output.readableBytes > 0 else { return nil }
        defer { output = ByteBuffer() }
        return output
    }

    private mutating func messageHeader(
        _ kind: MessageKind,
        _ prefix: ByteBuffer,
        _ payloadLength: Int
    ) throws(WebSocketError) -> FrameHeader {
        guard isOpen else { throw .notOpen }
        let (length, overflow) = prefix.readableBytes.addingReportingOverflow(payloadLength)
        guard payloadLength >= 0, !overflow else { throw .impossibleLength }
        return header(kind.opcode, length)
    }

    private mutating func header(_ opcode: Opcode, _ length: Int) -> FrameHeader {
        FrameHeader(opcode: opcode, maskingKey: role.masksOutput ? masks.next() : nil, payloadLength: length)
    }

    /// Appends a control frame to the output, within the limit.
    private mutating func queue(_ opcode: Opcode, _ payload: ByteBuffer) throws(WebSocketError) {
        let header = header(opcode, payload.readableBytes)
        let bytes = (role.masksOutput ? 6 : 2) + payload.readableBytes
        guard output.readableBytes <= limits.maximumQueuedControlBytes - bytes else { throw .controlQueueFull }
        header.encode(ByteBuffer(), payload, into: &output)
    }

    /// Appends a Close to the output if none was sent before, whatever else waits there.
    private mutating func queueClose(_ code: CloseCode?, reason: String) {
        guard !closeSent else { return }
        closeSent = true
        let payload = ClosePayload.encode(code, reason: reason)
        let header = header(.close, payload.readableBytes)
        header.encode(ByteBuffer(), payload, into: &output)
    }
}
