import NIOCore

/// One end of a WebSocket connection after its handshake: bytes go in, events and bytes come out.
///
/// It performs no I/O and has no clock. The caller passes bytes from the socket, takes events until there are none, and
/// writes what ``takeOutput()`` returns. It also writes the messages that it encodes:
///
/// ```swift
/// connection.receive(bytes)
/// while let event = try connection.nextEvent() { ... }
/// if let control = connection.takeOutput() { write(control) }
/// ```
///
/// Not enforced, since there is no clock and no socket: the time for the peer's Close, which end closes TCP first (the
/// server, RFC 6455, section 7.1.1), the rate of pings, and whether sent text is UTF-8. Each message is sent in one frame.
///
/// With permessage-deflate the connection owns zlib's state and therefore cannot be copied.
public struct Connection: ~Copyable, Sendable {
    /// The largest inflated chunk, bytes.
    package static let inflatedChunk = MessageInflater.maximumChunk

    private enum State {
        /// Both ends may send.
        case open
        /// This end has sent Close; the peer's Close has not arrived.
        case closing
        /// Nothing more is read or sent. `isClean` if both ends have sent Close.
        case closed(isClean: Bool)
    }

    /// The role of this end.
    public let role: WebSocketRole
    private let limits: WebSocketLimits
    private var state = State.open
    private var masks: MaskSource
    private var decoder: FrameDecoder
    private var messages: MessageRules
    /// The buffer being decoded, and later ones that wait.
    private var input = ByteBuffer()
    private var laterInput = CircularBuffer<ByteBuffer>(initialCapacity: 1)
    private var deflater: MessageDeflater?
    private var inflater: MessageInflater?
    /// The error that follows the last returned event.
    private var pendingError: WebSocketError?
    private var output = ByteBuffer()

    /// Whether this end's Close is in the output or was taken from it.
    public private(set) var closeSent = false
    /// Whether the peer's Close has arrived.
    public private(set) var closeReceived = false

    /// Creates a connection after a completed handshake.
    ///
    /// - Parameters:
    ///   - role: the role of this end.
    ///   - limits: limits on what the peer may send.
    ///   - masks: the source of a client's masking keys; a server uses none.
    ///   - acceptsText: false to refuse a text message at its first byte, with 1003.
    ///   - deflate: the negotiated compression; nil for none.
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
        if let deflate {
            deflater = MessageDeflater(deflate, role: role)
            let (noContextTakeover, _) = deflate.direction(from: role == .server ? .client : .server)
            inflater = MessageInflater(noContextTakeover: noContextTakeover)
        }
        decoder = FrameDecoder(role: role, allowsCompression: deflate != nil)
        messages = MessageRules(limits: limits, acceptsText: acceptsText)
    }

    /// Whether compressed messages are accepted, if they were negotiated. A compressed message is otherwise a protocol
    /// error. While false, a peer that has not authenticated cannot make this end inflate.
    public var acceptsCompressed: Bool {
        get { decoder.allowsCompression }
        set { decoder.allowsCompression = newValue && inflater != nil }
    }

    /// Whether messages and pings may be sent.
    public var isOpen: Bool {
        if case .open = state { true } else { false }
    }

    /// Whether the connection is over: both ends have sent Close, the peer broke a rule, or its bytes have ended. The
    /// remaining output must still be written; then TCP can be closed.
    public var isClosed: Bool {
        if case .closed = state { true } else { false }
    }

    // MARK: Receiving

    /// Adds bytes from the socket without copying them. After the end of the connection they are discarded.
    public mutating func receive(_ bytes: consuming ByteBuffer) {
        guard !isClosed, bytes.readableBytes > 0 else { return }
        if input.readableBytes == 0 && laterInput.isEmpty {
            input = bytes
        } else {
            laterInput.append(bytes)
        }
    }

    /// Removes and returns the next event; nil if more bytes are needed or the connection is over.
    ///
    /// - Throws: ``WebSocketError`` if the peer broke a rule. The connection is then over and the remaining input is
    ///   discarded. The output ends with a Close of that error's code, unless one was sent before.
    public mutating func nextEvent() throws(WebSocketError) -> WebSocketEvent? {
        do throws(WebSocketError) {
            if let error = pendingError { throw error }
            while !isClosed {
                if inflater?.hasInput ?? false {
                    if let event = try inflate() { return event }
                } else if let part = try decoder.next(from: &input, messages: &messages) {
                    if let event = try receive(part) { return event }
                } else if let next = laterInput.popFirst() {
                    input = next
                } else {
                    // An idle connection must not keep its last receive buffer alive.
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

    /// Reports the end of the peer's bytes. Take the remaining events first.
    ///
    /// - Returns: whether the closing handshake was complete. False corresponds to code 1006 of RFC 6455.
    public mutating func inputClosed() -> Bool {
        if case .closed(let isClean) = state { return isClean }
        end(isClean: false)
        return false
    }

    private mutating func receive(_ part: FrameDecoder.Part) throws(WebSocketError) -> WebSocketEvent? {
        switch part {
        case .data(let bytes, let endsMessage):
            guard messages.isCompressed else { return try deliver(bytes, endsMessage) }
            inflater?.receive(bytes, endsMessage: endsMessage)
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

    private mutating func inflate() throws(WebSocketError) -> WebSocketEvent? {
        switch inflater?.next(limit: messages.inflatedRoom) {
        case nil, .needsInput?:
            return nil
        case .chunk(let bytes, let endsMessage)?:
            messages.inflated(bytes.readableBytes)
            return try deliver(bytes, endsMessage)
        case .failed(let error, let bytes)?:
            return try deliver(bytes, before: error)
        }
    }

    /// Delivers the last bytes before an error, if there are any.
    private mutating func deliver(
        _ bytes: ByteBuffer,
        before error: WebSocketError
    ) throws(WebSocketError) -> WebSocketEvent? {
        guard bytes.readableBytes > 0, let event = try deliver(bytes, false) else { throw error }
        // Invalid text in these bytes precedes the other error.
        pendingError = pendingError ?? error
        return event
    }

    private mutating func end(isClean: Bool) {
        state = .closed(isClean: isClean)
        input = ByteBuffer()
        laterInput.removeAll()
        inflater?.removeAll()
        pendingError = nil
    }

    // MARK: Sending

    /// Appends one complete message as a single frame whose payload is `prefix` and `payload` together.
    ///
    /// Both parts are copied, and masked by a client, in one pass. The bytes of ``takeOutput()`` may be written before or
    /// after the frame, not inside it. If compression was negotiated the message is compressed, with two exceptions: it is
    /// short, or it would not shrink and the compressor resets after each message.
    ///
    /// - Parameter compress: false to send the message uncompressed.
    /// - Throws: `notOpen` after this end's Close, `impossibleLength` for a payload that does not fit into memory. Nothing
    ///   is appended then, and the connection continues. After `compressorFailed` the connection must be closed.
    public mutating func encodeMessage(
        _ kind: MessageKind,
        prefix: ByteBuffer = ByteBuffer(),
        payload: ByteBuffer,
        compress isCompressing: Bool = true,
        into out: inout ByteBuffer
    ) throws(WebSocketError) {
        let header = try messageHeader(kind, prefix, payload.readableBytes)
        if isCompressing, try deflater?.encode(header, prefix, payload, into: &out) ?? false { return }
        header.encode(prefix, payload, into: &out)
    }

    /// Appends a single-frame message whose payload `write` appends. It is masked where it lies.
    ///
    /// - Parameter length: the bytes that `write` appends, exactly.
    /// - Throws: as ``encodeMessage(_:prefix:payload:compress:into:)``, or what `write` throws. The output is then as
    ///   before.
    public mutating func encodeMessage(
        _ kind: MessageKind,
        length: Int,
        into out: inout ByteBuffer,
        write: (inout ByteBuffer) throws -> Void
    ) throws {
        let header = try messageHeader(kind, ByteBuffer(), length)
        let start = out.writerIndex
        // One allocation for all of it.
        out.reserveCapacity(minimumWritableBytes: FrameHeader.maximumBytes + length)
        header.encode(into: &out)
        let payload = out.writerIndex
        do {
            try write(&out)
        } catch {
            out.moveWriterIndex(to: start)
            throw error
        }
        precondition(out.writerIndex - payload == length, "the payload has another length than its header")
        guard let key = header.maskingKey else { return }
        out.withVeryUnsafeMutableBytes { bytes in
            Masking.apply(key, phase: 0, to: UnsafeMutableRawBufferPointer(rebasing: bytes[payload..<payload + length]))
        }
    }

    /// Appends the header of a single-frame message and the first bytes of its payload.
    ///
    /// The caller writes the rest, `payloadLength` bytes, directly behind it without copying. Only for a server, since a
    /// client must mask its payload.
    ///
    /// - Throws: `payloadNeedsMask` for a client, otherwise as ``encodeMessage(_:prefix:payload:compress:into:)``.
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

    /// Adds a Ping to the output, with a payload of up to 125 bytes.
    ///
    /// - Throws: `controlPayloadTooLong`, `notOpen`, or `controlQueueFull` if too many bytes wait in the output. The
    ///   connection continues.
    public mutating func ping(_ payload: ByteBuffer = ByteBuffer()) throws(WebSocketError) {
        guard isOpen else { throw .notOpen }
        guard payload.readableBytes <= FrameHeader.maximumControlPayload else { throw .controlPayloadTooLong }
        try queue(.ping, payload)
    }

    /// Starts the closing handshake by adding a Close to the output. Events may follow until the peer's Close arrives. Has
    /// no effect after a Close or the end of the connection.
    ///
    /// - Parameters:
    ///   - code: the reason. A code that may not be sent (1005, 1006, 1015, unassigned) is omitted, like nil.
    ///   - reason: a text for people, truncated between two scalars to 123 bytes of UTF-8. Omitted without a code.
    public mutating func close(_ code: CloseCode?, reason: String = "") {
        guard isOpen else { return }
        queueClose(code, reason: reason)
        state = .closing
    }

    /// Removes and returns the control frames to write, in order; nil if there are none. They go before later messages.
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

    /// Appends a control frame to the output.
    ///
    /// - Throws: `controlQueueFull` if the output would exceed its limit.
    private mutating func queue(_ opcode: Opcode, _ payload: ByteBuffer) throws(WebSocketError) {
        let header = header(opcode, payload.readableBytes)
        let bytes = (role.masksOutput ? 6 : 2) + payload.readableBytes
        guard output.readableBytes <= limits.maximumQueuedControlBytes - bytes else { throw .controlQueueFull }
        header.encode(ByteBuffer(), payload, into: &output)
    }

    /// Appends this end's only Close to the output, even beyond the limit.
    private mutating func queueClose(_ code: CloseCode?, reason: String) {
        guard !closeSent else { return }
        closeSent = true
        let payload = ClosePayload.encode(code, reason: reason)
        let header = header(.close, payload.readableBytes)
        header.encode(ByteBuffer(), payload, into: &output)
    }
}
