import ByteText

/// The syntax of a host: a name or an address.
public enum HostName {
    /// Returns the host without brackets; nil if it is not a host.
    ///
    /// A name consists of labels of letters, digits, `-` and `_`. A host whose last label is a number must be a strict
    /// IPv4 address, since some resolvers accept `127.1` as one.
    public static func normalized(_ text: String) -> String? {
        if text.utf8.first == UInt8(ascii: "[") {
            guard text.utf8.last == UInt8(ascii: "]"), let address = IPAddress(text), case .v6 = address else {
                return nil
            }
            return address.description
        }
        if let address = IPAddress(text) {
            guard case .v4 = address else { return nil }
            return text
        }
        guard !text.isEmpty, text.utf8.count <= 253 else { return nil }
        var labels = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        if labels.count > 1, labels[labels.count - 1].isEmpty { labels.removeLast() }
        guard labels.allSatisfy({ isLabel($0) }), let last = labels.last, !isNumeric(last) else { return nil }
        return text
    }

    private static func isLabel(_ label: Substring.UTF8View) -> Bool {
        !label.isEmpty && label.count <= 63
            && label.allSatisfy { byte in
                let lowered = byte | 0x20
                return (lowered >= UInt8(ascii: "a") && lowered <= UInt8(ascii: "z"))
                    || (byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9"))
                    || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
            }
    }

    private static func isNumeric(_ label: Substring.UTF8View) -> Bool {
        if label.starts(with: "0x".utf8) || label.starts(with: "0X".utf8) {
            return label.dropFirst(2).allSatisfy(\.isHexDigit)
        }
        return label.allSatisfy { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
    }
}
