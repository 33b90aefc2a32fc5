import NIOCore

/// The first handshake message of a connection (RFC 8446, section 4), joined from the fragments of records.
struct HandshakeMessage: Sendable {
    private static let clientHello: UInt8 = 1
    private static let headerBytes = 4

    private var bytes = ByteBuffer()
    /// The length with the header; nil until the header is there.
    private var length: Int?

    /// The complete message without its header; nil while bytes are missing.
    var body: ByteBuffer? {
        guard let length, bytes.readableBytes == length else { return nil }
        return bytes.getSlice(at: bytes.readerIndex + Self.headerBytes, length: length - Self.headerBytes)
    }

    /// Appends a part of a record's fragment.
    ///
    /// - Parameter following: how many bytes of the fragment are still to come.
    mutating func append(_ part: ByteBufferView, following: Int) throws(ClientHelloError) {
        bytes.writeBytes(part)
        if length == nil {
            if let type = bytes.readableBytesView.first, type != Self.clientHello { throw .notClientHello }
            // Type and length together are 32 bits, and the type is 1.
            guard let header = bytes.getInteger(at: bytes.readerIndex, as: UInt32.self) else { return }
            let total = Int(header & 0xFF_FFFF) + Self.headerBytes
            guard total <= ClientHelloReader.maximumMessageBytes else { throw .helloTooLong }
            length = total
        }
        try check(following: following)
    }

    /// Refuses bytes behind the message in its last record. A client has nothing to send before the answer, and a
    /// library would refuse them too.
    func check(following: Int) throws(ClientHelloError) {
        guard let length, bytes.readableBytes + following > length else { return }
        throw .malformed(.message)
    }
}
