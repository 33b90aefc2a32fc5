/// The syntax of `uri-host [":" port]` without userinfo.
enum HostSyntax {
    static func isAuthority(_ text: some BidirectionalCollection<UInt8>) -> Bool {
        let host: any Collection<UInt8>
        let port: Array<UInt8>
        if text.first == UInt8(ascii: "[") {
            guard let close = text.firstIndex(of: UInt8(ascii: "]")) else { return false }
            let literal = text[text.index(after: text.startIndex)..<close]
            guard literal.contains(.colon), literal.allSatisfy({ isLiteral($0) }) else { return false }
            host = literal
            port = Array(text[text.index(after: close)...])
        } else {
            let name = text.prefix { $0 != .colon }
            guard isName(Array(name)) else { return false }
            host = name
            port = Array(text[name.endIndex...])
        }
        return !host.isEmpty && isPort(port)
    }

    private static func isLiteral(_ byte: UInt8) -> Bool {
        byte.hexValue != nil || byte == .colon || byte == UInt8(ascii: ".")
    }

    private static func isName(_ bytes: [UInt8]) -> Bool {
        var encoded = 0
        for byte in bytes {
            if encoded > 0 {
                guard byte.hexValue != nil else { return false }
                encoded -= 1
            } else if byte == UInt8(ascii: "%") {
                encoded = 2
            } else {
                guard byte.isLetter || byte.isDigit || "-._~".utf8.contains(byte) else { return false }
            }
        }
        return encoded == 0
    }

    /// Returns whether the bytes are empty, or a colon and a decimal number from 0 to 65535 with at most five digits.
    private static func isPort(_ bytes: [UInt8]) -> Bool {
        guard let first = bytes.first else { return true }
        let digits = bytes.dropFirst()
        guard first == .colon, !digits.isEmpty, digits.count <= 5, digits.allSatisfy(\.isDigit) else { return false }
        return digits.reduce(0) { $0 * 10 + Int($1) - 0x30 } <= 65535
    }
}
