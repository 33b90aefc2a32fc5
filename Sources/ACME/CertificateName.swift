import NetworkAddress

/// A name for which a certificate can be asked for: a DNS name in lower case, in ASCII, without a wildcard.
public struct CertificateName: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The name.
    public let text: String

    /// Reads a name; nil for an address, a wildcard, an underscore and anything that is no host name.
    public init?(_ text: String) {
        let lowered = String(decoding: text.utf8.map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }, as: UTF8.self)
        let name = lowered.hasSuffix(".") ? String(lowered.dropLast()) : lowered
        guard let host = HostName.normalized(name), host == name, IPAddress(name) == nil, !name.hasSuffix(".") else {
            return nil
        }
        let labels = name.utf8.split(separator: UInt8(ascii: "."))
        let hyphen = UInt8(ascii: "-")
        guard
            labels.allSatisfy({ label in
                label.first != hyphen && label.last != hyphen && !label.contains(UInt8(ascii: "_"))
            })
        else { return nil }
        self.text = name
    }

    /// The name.
    public var description: String { text }

    /// Orders names by their text.
    public static func < (left: CertificateName, right: CertificateName) -> Bool { left.text < right.text }

    /// The last two labels: usually the domain that is registered.
    var domain: String { text.split(separator: ".").suffix(2).joined(separator: ".") }
}
