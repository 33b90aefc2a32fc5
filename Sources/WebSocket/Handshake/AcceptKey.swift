import ByteText
import Crypto

/// `Sec-WebSocket-Key` and the answer to it, `Sec-WebSocket-Accept` (RFC 6455, sections 4.1 and 4.2.2).
///
/// The exchange shows that the server speaks WebSocket and that the answer is not a cached one. It protects no secret
/// and authenticates no party, so SHA-1 suffices.
public enum AcceptKey {
    /// The length of a decoded key, bytes.
    public static let keyBytes = 16

    private static let guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

    /// Returns the field value for a key.
    public static func encode(_ key: [UInt8]) -> String {
        Base64.encoded(key)
    }

    /// Returns the bytes of a key; nil unless the text is the canonical base64 form of 16 bytes. Other lengths, the URL
    /// alphabet, white space, missing padding and unused bits that are set are refused.
    public static func decode(_ text: String) -> [UInt8]? {
        guard let key = Base64.decoded(text, .canonical), key.count == keyBytes else { return nil }
        return key
    }

    /// Returns the answer to a key, which is taken as text without decoding.
    public static func accept(for key: String) -> String {
        Base64.encoded(Insecure.SHA1.hash(data: Array((key + guid).utf8)))
    }
}
