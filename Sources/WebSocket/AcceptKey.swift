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
        Base64.encode(key)
    }

    /// The bytes of a key, or nil when the text is anything but the one base64 form of 16 bytes: other lengths, the
    /// URL alphabet, white space, missing padding, or bits set that encode nothing.
    public static func decode(_ text: String) -> [UInt8]? {
        guard let key = Base64.decode(text), key.count == keyBytes else { return nil }
        return key
    }

    /// The answer to a key, which is taken as text, as it came.
    public static func accept(for key: String) -> String {
        Base64.encode(Insecure.SHA1.hash(data: Array((key + guid).utf8)))
    }
}

/// Base64 with padding (RFC 4648 section 4), the canonical form only. Foundation would bring 45 MB for it.
private enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    private static let padding = UInt8(ascii: "=")

    static func encode(_ bytes: some Sequence<UInt8>) -> String {
        var text: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        for byte in bytes {
            bits = bits << 8 | UInt32(byte)
            count += 8
            while count >= 6 {
                count -= 6
                text.append(alphabet[Int(bits >> UInt32(count) & 0x3F)])
            }
        }
        if count > 0 {
            text.append(alphabet[Int(bits << UInt32(6 - count) & 0x3F)])
        }
        while text.count % 4 != 0 {
            text.append(padding)
        }
        return String(decoding: text, as: UTF8.self)
    }

    static func decode(_ text: String) -> [UInt8]? {
        let units = Array(text.utf8)
        var body = units[...]
        while body.last == padding && units.count - body.count < 2 {
            body.removeLast()
        }
        guard units.count % 4 == 0, body.count % 4 != 1 else { return nil }
        var bytes: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        for unit in body {
            guard let value = value(of: unit) else { return nil }
            bits = bits << 6 | value
            count += 6
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
                bits &= (1 << UInt32(count)) - 1
            }
        }
        return bits == 0 ? bytes : nil
    }

    private static func value(of unit: UInt8) -> UInt32? {
        switch unit {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(unit) - 0x41
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(unit) - 0x61 + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(unit) - 0x30 + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
