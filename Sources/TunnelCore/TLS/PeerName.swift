import NetworkAddress

/// The name or the address that was dialled, compared with what a certificate names (RFC 9525).
///
/// A name is compared with DNS entries alone, and an address with iPAddress entries alone. The subject's common name
/// counts for neither.
package enum PeerName: Sendable, Hashable {
    /// A DNS name, in lower case and without a trailing dot. Names beyond ASCII are A-labels by then.
    case name(String)
    /// An IP address.
    case address(IPAddress)

    /// The peer that a URL's host stands for.
    package init(_ host: String) {
        if let address = IPAddress(host) {
            self = .address(address)
        } else {
            let lowered = Self.lowercased(host)
            self = .name(lowered.hasSuffix(".") ? String(lowered.dropLast()) : lowered)
        }
    }

    /// What Server Name Indication carries: the name, or nil for an address (RFC 6066 section 3).
    package var serverNameIndication: String? {
        switch self {
        case .name(let name): name
        case .address: nil
        }
    }

    /// Whether a certificate with these entries is for this peer.
    ///
    /// - Parameters:
    ///   - dnsNames: the dNSName entries of the subject's alternative names.
    ///   - addresses: the iPAddress entries, 4 or 16 bytes each.
    package func isNamed(byNames dnsNames: [String], addresses: [[UInt8]]) -> Bool {
        switch self {
        case .name(let name): dnsNames.contains { Self.matches($0, name) }
        case .address(let address): addresses.contains(address.bytes)
        }
    }

    /// Whether a presented DNS name covers a dialled one (RFC 9525 section 6.3). A wildcard is the whole left-most label
    /// and stands for one label; at least two labels follow it, so that `*.com` covers nothing.
    private static func matches(_ presented: String, _ dialled: String) -> Bool {
        let pattern = labels(presented)
        let name = labels(dialled)
        guard pattern.count == name.count, isHostName(name), let first = pattern.first else { return false }
        guard first == "*" else { return isHostName(pattern) && pattern == name }
        let rest = pattern.dropFirst()
        return rest.count >= 2 && isHostName(Array(rest)) && rest == name.dropFirst()
    }

    private static func labels(_ name: String) -> [String] {
        lowercased(name).split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    }

    /// ASCII alone: in Unicode the sign for kelvin becomes a `k`.
    private static func lowercased(_ text: String) -> String {
        String(decoding: text.utf8.map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }, as: UTF8.self)
    }

    /// Whether all labels consist of letters, digits, hyphens and underscores.
    private static func isHostName(_ labels: [String]) -> Bool {
        labels.allSatisfy { label in
            !label.isEmpty
                && label.utf8.allSatisfy { byte in
                    switch byte {
                    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                        UInt8(ascii: "-"), UInt8(ascii: "_"):
                        true
                    default: false
                    }
                }
        }
    }
}
