import HTTP1
import NetworkAddress

/// A URL of a CA: https, or http to a loopback address for tests on one machine.
public struct ACMEURL: Sendable, Hashable, CustomStringConvertible {
    /// Why a text is not a CA's URL: a clause, which says what the URL must be.
    public struct Problem: Error, Sendable, Hashable, CustomStringConvertible {
        /// The clause.
        public let description: String
    }

    /// Bytes of the longest URL that is accepted.
    package static let longest = 2_048

    /// Whether TLS is used.
    public let isSecure: Bool
    /// The host and the port.
    public let place: HostPort
    /// The path and the query, as in a request.
    public let target: String
    /// The value of Host: without the port if it is the scheme's.
    public var authority: String {
        let isUsual = place.port == (isSecure ? 443 : 80)
        guard isUsual else { return place.description }
        return place.host.contains(":") ? "[\(place.host)]" : place.host
    }
    /// The URL as it was given: signatures cover its bytes.
    public let description: String

    /// Reads a URL.
    ///
    /// - Throws: ``Problem`` for another scheme, user information, a fragment, a malformed host, and a long text.
    public init(_ text: String) throws(Problem) {
        guard text.utf8.count <= Self.longest else {
            throw Problem(description: "it has more than \(Self.longest) bytes")
        }
        let shown = text.escapedForDisplay(limit: 120)
        let scheme = text.utf8.prefix { $0 != UInt8(ascii: ":") }
        let rest = text.utf8[scheme.endIndex...]
        guard rest.starts(with: "://".utf8) else { throw Problem(description: "\(shown) is not an https URL") }
        switch String(Substring(scheme)).lowercased() {
        case "https": isSecure = true
        case "http": isSecure = false
        default: throw Problem(description: "\(shown) is not an https URL")
        }
        let behind = rest.dropFirst(3)
        let authority = behind.prefix { $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "?") }
        guard let place = HostPort(Substring(authority), defaultPort: isSecure ? 443 : 80) else {
            throw Problem(description: "\(shown) has no valid host and port")
        }
        guard isSecure || IPAddress(place.host)?.isLoopback == true else {
            throw Problem(description: "\(shown) is not an https URL; http is for loopback addresses only")
        }
        let path = String(Substring(behind[authority.endIndex...]))
        let target = path.utf8.first == UInt8(ascii: "/") ? path : "/" + path
        guard target.utf8.allSatisfy({ (0x21..<0x7F).contains($0) && $0 != UInt8(ascii: "#") }) else {
            throw Problem(description: "\(shown) has a character that a URL may not have")
        }
        self.place = place
        self.target = target
        description = text
    }
}
