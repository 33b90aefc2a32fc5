/// The header of a TLS record (RFC 8446, section 5.1), byte by byte: type, version and length.
///
/// The minor version is ignored, as the RFC demands.
struct RecordHeader: Sendable {
    private enum ContentType {
        static let alert: UInt8 = 21
        static let handshake: UInt8 = 22
        /// From change_cipher_spec to heartbeat.
        static let known: ClosedRange<UInt8> = 20...24
    }

    /// The length of a header.
    static let bytes = 5
    /// The longest fragment of a plain record.
    private static let maximumLength = 16_384

    private let isFirst: Bool
    /// The bytes so far, at most five.
    private var received: [UInt8] = []

    /// - Parameter isFirst: whether the connection begins with this record. Other protocols are recognized only there.
    init(isFirst: Bool) {
        self.isFirst = isFirst
    }

    /// Appends a byte.
    ///
    /// - Returns: the fragment's length, which is not 0; nil while the header is not complete.
    mutating func append(_ byte: UInt8) throws(ClientHelloError) -> Int? {
        received.append(byte)
        let type = received[0]
        // A hello of SSL 2 begins with its length, with the highest bit set, and its type 1.
        let isMaybeSSL2 = isFirst && type & 0x80 != 0
        switch received.count {
        case 1:
            guard isMaybeSSL2 || ContentType.known.contains(type) else { throw isFirst ? .notTLS : .unexpectedRecord }
            return nil
        case 2 where !isMaybeSSL2:
            guard byte == 3 else { throw isFirst ? .notTLS : .malformed(.recordVersion) }
            guard type != ContentType.alert else { throw .alert }
            guard type == ContentType.handshake else { throw .unexpectedRecord }
            return nil
        case 3 where isMaybeSSL2:
            throw byte == 1 ? .sslv2 : .notTLS
        case Self.bytes:
            let length = Int(received[3]) << 8 | Int(byte)
            guard length > 0 else { throw .emptyRecord }
            guard length <= Self.maximumLength else { throw .recordTooLong }
            return length
        default:
            return nil
        }
    }
}
