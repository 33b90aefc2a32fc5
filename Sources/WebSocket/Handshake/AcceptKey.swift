import ByteText
import Crypto

/// `Sec-WebSocket-Key` and its answer, `Sec-WebSocket-Accept` (RFC 6455 sections 4.1 and 4.2.2).
///
/// The exchange shows that the server speaks WebSocket and did not take a cached answer for a new one. It keeps no
/// secret and authenticates nobody; hence SHA-1 does.
public enum AcceptKey {
    /// The length of a decoded key, in bytes.
    public static let keyBytes = 16

    private static let guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

    /// The field value for a key.
    public static func encode(_ key: [UInt8]) -> String {
        Base64.encoded(key)
    }

    /// The bytes of a key, or nil when the text is anything but the one base64 form of 16 bytes: other lengths, the
    /// URL alphabet, white space, missing padding, or bits set that encode nothing.
    public static func decode(_ text: String) -> [UInt8]? {
        guard let key = Base64.decoded(text, .canonical), key.count == keyBytes else { return nil }
        return key
    }

    /// The answer to a key, which is taken as text, as it came.
    public static func accept(for key: String) -> String {
        Base64.encoded(Insecure.SHA1.hash(data: Array((key + guid).utf8)))
    }
}
