/// The envelope of RFC 4178 around another mechanism's messages, as far as NTLM needs it. Some proxies wrap their
/// challenge in it and expect the answer in the same form.
enum SPNEGO {
    private enum Tag {
        static let octetString: UInt8 = 0x04
        static let sequence: UInt8 = 0x30
        /// NegTokenResp (section 4.2.2).
        static let response: UInt8 = 0xA1
        /// Its field with the mechanism's message.
        static let responseToken: UInt8 = 0xA2
    }

    /// Returns the mechanism's message in a NegTokenResp; nil if the bytes are not one or contain none.
    static func message(in token: [UInt8]) -> [UInt8]? {
        guard let response = element(token[...], Tag.response), let sequence = element(response, Tag.sequence) else {
            return nil
        }
        var rest = sequence
        while let (tag, content, next) = element(rest) {
            if tag == Tag.responseToken { return element(content, Tag.octetString).map { Array($0) } }
            rest = next
        }
        return nil
    }

    /// Returns a NegTokenResp with a message.
    static func response(_ message: [UInt8]) -> [UInt8] {
        [Tag.octetString, Tag.responseToken, Tag.sequence, Tag.response].reduce(message) { content, tag in
            [tag] + length(content.count) + content
        }
    }

    private static func element(_ bytes: ArraySlice<UInt8>, _ tag: UInt8) -> ArraySlice<UInt8>? {
        guard let (found, content, _) = element(bytes), found == tag else { return nil }
        return content
    }

    /// Returns the first DER element and what follows it; nil if it is cut short.
    private static func element(
        _ bytes: ArraySlice<UInt8>
    ) -> (tag: UInt8, content: ArraySlice<UInt8>, rest: ArraySlice<UInt8>)? {
        var rest = bytes
        guard let tag = rest.popFirst(), let first = rest.popFirst() else { return nil }
        var length = Int(first)
        if first >= 0x80 {
            let count = Int(first & 0x7F)
            guard (1...3).contains(count), rest.count >= count else { return nil }
            length = rest.prefix(count).reduce(0) { $0 << 8 | Int($1) }
            rest = rest.dropFirst(count)
        }
        guard rest.count >= length else { return nil }
        return (tag, rest.prefix(length), rest.dropFirst(length))
    }

    private static func length(_ count: Int) -> [UInt8] {
        guard count >= 0x80 else { return [UInt8(truncatingIfNeeded: count)] }
        let bytes = stride(from: 16, through: 0, by: -8).map { UInt8(truncatingIfNeeded: count >> $0) }
        let significant = Array(bytes.drop { $0 == 0 })
        return [0x80 | UInt8(truncatingIfNeeded: significant.count)] + significant
    }
}
