/// The reason why the SOCKS proxy opened no tunnel, for a user behind it. Contains no secret, and only escaped bytes
/// from the proxy.
public struct SocksError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The kind of failure.
    public enum Kind: Sendable, Equatable {
        /// The proxy requires authentication, and there are no credentials.
        case credentialsNeeded
        /// The proxy accepts neither "no authentication" nor user and password.
        case noAcceptableMethod
        /// The proxy refused user and password with this status (RFC 1929, section 2). Any status other than 0 has the
        /// same meaning.
        case credentialsRefused(status: UInt8)
        /// A reply other than "succeeded".
        case refused(SocksReply)
        /// Bytes that are not a SOCKS 5 answer.
        case malformedAnswer(SocksMalformation)
        /// An end of the connection before this answer was complete.
        case closed(SocksStep)
        /// The caller's deadline, before this answer was complete.
        case silence(SocksStep)
        /// A host that is neither a name nor an address. Like the cases below, a configuration error.
        case unusableHost
        /// A port outside 1 to 65535.
        case unusablePort
        /// An empty user name.
        case emptyUser
        /// A user name of more than 255 bytes.
        case longUser
        /// A password of more than 255 bytes.
        case longPassword
    }

    /// The kind of failure.
    public let kind: Kind
    /// The server that the proxy was asked for, `host:port`.
    public let target: String
    /// The beginning of an answer in another protocol, at most 64 bytes, escaped; otherwise empty.
    public let start: String

    init(_ kind: Kind, target: String, start: String = "") {
        self.kind = kind
        self.target = target
        self.start = start
    }

    /// Whether a retry with the same credentials is useless and may lock the account (exit code 77). False if the proxy
    /// closes the connection after the credentials, which may be chance.
    public var isCredentialRefusal: Bool {
        switch kind {
        case .credentialsNeeded, .noAcceptableMethod, .credentialsRefused: true
        case .refused, .malformedAnswer, .closed, .silence, .unusableHost, .unusablePort, .emptyUser, .longUser,
            .longPassword:
            false
        }
    }

    /// Whether the reply was 2: the proxy's rules forbid this server or port.
    public var isPolicyRefusal: Bool { kind == .refused(.notAllowed) }

    /// Whether the request cannot be sent as configured (exit code 78).
    public var isConfigurationError: Bool {
        switch kind {
        case .unusableHost, .unusablePort, .emptyUser, .longUser, .longPassword: true
        case .credentialsNeeded, .noAcceptableMethod, .credentialsRefused, .refused, .malformedAnswer, .closed,
            .silence:
            false
        }
    }

    /// One line with the proxy's answer. The caller adds which proxy it was.
    public var description: String {
        start.isEmpty ? summary : "\(summary); it begins with \"\(start)\""
    }

    private var summary: String {
        switch kind {
        case .credentialsNeeded: "the proxy wants credentials"
        case .noAcceptableMethod: "the proxy wants another kind of authentication than user and password"
        case .credentialsRefused(let status): "the proxy refused the credentials (status \(status))"
        case .refused(.notAllowed): "the proxy forbids a tunnel to \(target): \(SocksReply.notAllowed)"
        case .refused(let reply): "the proxy opened no tunnel to \(target): \(reply)"
        case .malformedAnswer(let malformation): "the proxy's answer is no SOCKS 5: \(Self.words(malformation))"
        case .closed(.greeting): "the proxy closed the connection without an answer"
        case .closed(.authentication): "the proxy closed the connection when it had been sent the credentials"
        case .closed(.request): "the proxy closed the connection when it had been asked for \(target)"
        case .silence(.greeting): "the proxy did not answer in time"
        case .silence(.authentication): "the proxy did not answer the credentials in time"
        case .silence(.request): "the proxy did not connect to \(target) in time"
        case .unusableHost: "the server's host is neither a name of at most 253 characters nor an IP address"
        case .unusablePort: "the server's port is not a number from 1 to 65535"
        case .emptyUser: "the proxy's user name is empty"
        case .longUser: "the proxy's user name has more than the 255 bytes that SOCKS can carry"
        case .longPassword: "the proxy's password has more than the 255 bytes that SOCKS can carry"
        }
    }

    private static func words(_ malformation: SocksMalformation) -> String {
        switch malformation {
        case .otherProtocol(.http): "what answers there speaks HTTP"
        case .otherProtocol(.tls): "what answers there speaks TLS"
        case .otherProtocol(.socks4): "what answers there speaks SOCKS 4"
        case .otherProtocol(.unknown): "what answers there speaks something else"
        case .wrongVersion(let version, .authentication): "version \(version) of the answer to the credentials"
        case .wrongVersion(let version, _): "version \(version) of the reply"
        case .methodNotOffered(let method): "it chose authentication method \(method), which was not offered"
        case .unknownAddressType(let type): "an address of the unknown type \(type)"
        }
    }
}
