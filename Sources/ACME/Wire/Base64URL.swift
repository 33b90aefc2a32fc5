import ByteText

/// Base64 for URLs and JSON, without padding (RFC 4648, section 5), as JOSE and ACME write all bytes.
public enum Base64URL {
    /// Encodes bytes without padding.
    public static func encoded(_ bytes: some Sequence<UInt8>) -> String {
        let text = Base64.encoded(bytes).utf8.compactMap { byte -> UInt8? in
            switch byte {
            case UInt8(ascii: "+"): UInt8(ascii: "-")
            case UInt8(ascii: "/"): UInt8(ascii: "_")
            case UInt8(ascii: "="): nil
            default: byte
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// Whether a text consists of the alphabet's characters, and is not empty.
    static func isText(_ text: String) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
                    true
                default: false
                }
            }
    }
}
