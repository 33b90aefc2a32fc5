import HTTP1
import NIOSSL

/// The key exchanges that a client offers, in its order of preference.
public struct TLSGroups: Sendable, Hashable {
    /// In order; never empty.
    public let curves: [NIOTLSCurve]

    /// Why a text is not a list of groups.
    public struct Malformed: Error, Sendable, CustomStringConvertible {
        /// One line for a person.
        public let description: String
    }

    private static let names: [(name: String, others: [String], curve: NIOTLSCurve)] = [
        ("X25519MLKEM768", [], .x25519_MLKEM768),
        ("X25519", [], .x25519),
        ("P-256", ["SECP256R1", "PRIME256V1", "P256"], .secp256r1),
        ("P-384", ["SECP384R1", "P384"], .secp384r1),
        ("P-521", ["SECP521R1", "P521"], .secp521r1),
    ]

    /// Reads names with commas or colons between them, in any case: `x25519,p-256`.
    public init(_ text: String) throws(Malformed) {
        var curves: [NIOTLSCurve] = []
        for word in text.split(omittingEmptySubsequences: false, whereSeparator: { $0 == "," || $0 == ":" }) {
            let name = word.filter { $0 != " " }.uppercased()
            guard let known = Self.names.first(where: { $0.name == name || $0.others.contains(name) }) else {
                let all = Self.names.map(\.name).joined(separator: ", ")
                let shown = name.isEmpty ? "an empty name" : String(word).escapedForDisplay(limit: 40)
                throw Malformed(description: "\(shown) is not a known group; known are \(all)")
            }
            guard !curves.contains(known.curve) else { throw Malformed(description: "\(known.name) stands twice") }
            curves.append(known.curve)
        }
        self.curves = curves
    }

    package init(curves: [NIOTLSCurve]) {
        self.curves = curves
    }

    /// Without those whose key share is longer than a kilobyte; nil if there is nothing to leave out, or nothing is left.
    package static func smaller(_ curves: [NIOTLSCurve]) -> [NIOTLSCurve]? {
        let small = curves.filter { $0 != .x25519_MLKEM768 }
        return small.isEmpty || small.count == curves.count ? nil : small
    }
}

extension TLSConfiguration {
    /// The same with other key exchanges, or without the newest version.
    public func offering(_ groups: TLSGroups?, upTo version: TLSVersion?) -> TLSConfiguration {
        var result = self
        if let groups { result.curves = groups.curves }
        if let version { result.maximumTLSVersion = version }
        return result
    }
}
