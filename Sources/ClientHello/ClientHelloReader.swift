import NIOCore

/// Reads the ClientHello from the beginning of a connection, without taking its bytes from the caller.
///
/// The caller keeps what arrives, and passes each new part to the reader. Once the name is known, everything goes on to
/// the TLS library or to the service, as it came. Each byte is examined once when it arrives. The message, which may be
/// split over several records, is parsed once when it is complete.
///
/// ```
///            header complete            fragment complete
///   header ───────────────────▶ fragment ─────────────────▶ header
///     │                            │
///     │ illegal byte               ├─ message complete ──▶ hello
///     └──────────▶ failed ◀────────┘ malformed
/// ```
public struct ClientHelloReader: Sendable {
    /// The longest handshake message with its header: what fits into one record. Hellos have up to 2 KiB today.
    public static let maximumMessageBytes = 16_384
    /// Most bytes that the hello takes with the headers of its records. The reader asks for more bytes only while it has
    /// fewer, so a caller need not keep more.
    public static let maximumWireBytes = 32_768

    private enum State: Sendable {
        case header(RecordHeader)
        /// Within a record's fragment, with the number of its bytes that are missing.
        case fragment(missing: Int)
        case hello(ClientHello)
        case failed(ClientHelloError)
    }

    private var state = State.header(RecordHeader(isFirst: true))
    private var message = HandshakeMessage()
    private var wireBytes = 0

    /// Bytes examined in total, for the test of linear work: of the wire, and of the message that was parsed.
    private(set) var bytesExamined = 0

    /// Creates a reader for a new connection.
    public init() {}

    /// Reads the bytes that have arrived since the last call.
    ///
    /// Bytes behind the hello are not examined. After the hello each call returns it again, and after an error each call
    /// throws it again.
    ///
    /// - Returns: the hello; nil if more bytes are needed.
    /// - Throws: ``ClientHelloError`` for the first error in the bytes.
    public mutating func receive(_ bytes: ByteBufferView) throws(ClientHelloError) -> ClientHello? {
        do {
            return try read(bytes)
        } catch {
            state = .failed(error)
            message = HandshakeMessage()
            throw error
        }
    }

    private mutating func read(_ bytes: ByteBufferView) throws(ClientHelloError) -> ClientHello? {
        var rest = bytes
        while true {
            switch state {
            case .hello(let hello):
                return hello
            case .failed(let error):
                throw error
            case .header(let header):
                guard try readHeader(header, &rest) else { return nil }
            case .fragment(let missing):
                guard try readFragment(missing, &rest) else { return nil }
            }
        }
    }

    /// Returns false if the header is not complete.
    private mutating func readHeader(
        _ header: RecordHeader,
        _ rest: inout ByteBufferView
    ) throws(ClientHelloError) -> Bool {
        var header = header
        while let byte = rest.popFirst() {
            examined(1)
            guard let length = try header.append(byte) else { continue }
            guard wireBytes + length <= Self.maximumWireBytes else { throw .tooManyRecords }
            try message.check(following: length)
            state = .fragment(missing: length)
            return true
        }
        state = .header(header)
        return false
    }

    /// Returns false if the fragment is not complete.
    private mutating func readFragment(
        _ missing: Int,
        _ rest: inout ByteBufferView
    ) throws(ClientHelloError) -> Bool {
        let part = rest.prefix(missing)
        rest = rest.dropFirst(part.count)
        examined(part.count)
        let following = missing - part.count
        try message.append(part, following: following)
        if let body = message.body {
            bytesExamined += body.readableBytes
            state = .hello(try ClientHello(message: body))
            message = HandshakeMessage()
            return true
        }
        guard following == 0 else {
            state = .fragment(missing: following)
            return false
        }
        guard wireBytes + RecordHeader.bytes < Self.maximumWireBytes else { throw .tooManyRecords }
        state = .header(RecordHeader(isFirst: false))
        return true
    }

    private mutating func examined(_ count: Int) {
        wireBytes += count
        bytesExamined += count
    }
}
