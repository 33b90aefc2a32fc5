import NetworkAddress

/// A host name under which a service is published: in lower case, without a dot at the end, no address.
public struct PublicName: Sendable, Hashable, CustomStringConvertible {
    /// The name.
    public let description: String

    /// Reads a name; nil for addresses and for what is no host name.
    ///
    /// - Parameter text: a name in any case, perhaps with a dot at its end.
    public init?(_ text: some StringProtocol) {
        // Some characters outside ASCII have a lower case inside it, such as the sign of the kelvin.
        guard text.utf8.allSatisfy({ $0 < 0x80 }) else { return nil }
        var text = text.lowercased()
        if text.hasSuffix(".") { text.removeLast() }
        guard HostName.normalized(text) == text, IPAddress(text) == nil, !text.hasSuffix(".") else { return nil }
        description = text
    }

    /// The name in an authority, `name` or `name:port`; nil if that has an address or is malformed.
    public init?(authority: String) {
        if let colon = authority.utf8.lastIndex(of: UInt8(ascii: ":")) {
            let digits = authority.utf8[authority.utf8.index(after: colon)...]
            guard (1...5).contains(digits.count), digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
            self.init(authority[..<colon])
        } else {
            self.init(authority)
        }
    }

    /// Whether the name has one label, and stands below the server's domain.
    public var isShort: Bool { !description.utf8.contains(UInt8(ascii: ".")) }

    /// The name below a domain; nil if it is too long.
    public func below(_ domain: PublicName) -> PublicName? { PublicName("\(description).\(domain)") }
}

/// The names that a client may publish: `blog.example.com`, `*.al.example.com` for all names below it, or `*` for all.
public struct NamePattern: Sendable, Hashable, CustomStringConvertible {
    /// The forms, for a refusal.
    public static let form = "the form is app.example.com, *.example.com for all names below it, or *"

    private enum Scope: Sendable, Hashable {
        case name(PublicName)
        case below(PublicName)
        case all
    }

    private let scope: Scope

    /// Reads a pattern; nil for anything else.
    public init?(_ text: String) {
        if text == "*" {
            scope = .all
        } else if text.hasPrefix("*.") {
            guard let name = PublicName(text.dropFirst(2)) else { return nil }
            scope = .below(name)
        } else {
            guard let name = PublicName(text) else { return nil }
            scope = .name(name)
        }
    }

    /// Whether the pattern covers a name.
    public func covers(_ name: PublicName) -> Bool {
        switch scope {
        case .all: true
        case .name(let own): own == name
        case .below(let domain): name.description.hasSuffix(".\(domain)")
        }
    }

    /// The pattern as it is written.
    public var description: String {
        switch scope {
        case .all: "*"
        case .name(let name): "\(name)"
        case .below(let domain): "*.\(domain)"
        }
    }
}
