/// Why there is no tunnel through a SOCKS proxy, for a person who sits behind it. Holds no secret, and no byte of the
/// proxy's that has not been escaped.
public struct SocksError: Error, Sendable, Equatable, CustomStringConvertible {
    /// One case for each way to fail.
    public enum Kind: Sendable, Equatable {
        /// "No authentication" is not acceptable, and there are no credentials.
        case credentialsNeeded
        /// Neither "no authentication" nor user and password are acceptable.
        case noAcceptableMethod
        /// The user and the password were sent, and this is the proxy's status (RFC 1929 section 2), which has no
        /// meaning beyond being other than 0.
        case credentialsRefused(status: UInt8)
        /// A reply other than "succeeded".
        case refused(SocksReply)
        /// Bytes that are no SOCKS 5 answer.
        case malformedAnswer(SocksMalformation)
        /// The connection ended before this answer was complete.
        case closed(SocksStep)
        /// The caller's deadline passed before this answer was complete.
        case silence(SocksStep)
        /// The host is neither a name nor an address: a matter of configuration, as are those below.
        case unusableHost
        /// The port is not one from 1 to 65535.
        case unusablePort
        /// No user name.
        case emptyUser
        /// A user name of more than 255 bytes.
        case longUser
        /// A password of more than 255 bytes.
        case longPassword
    }

    /// What happened.
    public let kind: Kind
    /// The server that the proxy was asked for: `host:port`.
    public let target: String
    /// The first bytes of an answer in another protocol, those of the first 64 that were there, escaped; else empty.
    public let start: String

    init(_ kind: Kind, target: String, start: String = "") {
        self.kind = kind
        self.target = target
        self.start = start
    }

    /// True when trying again with the same credentials is useless, and may lock the account (exit code 77). Not for a
    /// proxy that closes the connection on them: that may be chance.
    public var isCredentialRefusal: Bool {
        switch kind {
        case .credentialsNeeded, .noAcceptableMethod, .credentialsRefused: true
        case .refused, .malformedAnswer, .closed, .silence, .unusableHost, .unusablePort, .emptyUser, .longUser,
            .longPassword:
            false
        }
    }

    /// True for reply 2: the proxy's rules forbid this server or this port.
    public var isPolicyRefusal: Bool { kind == .refused(.notAllowed) }

    /// True when what we were told to send cannot be sent (exit code 78).
    public var isConfigurationError: Bool {
        switch kind {
        case .unusableHost, .unusablePort, .emptyUser, .longUser, .longPassword: true
        case .credentialsNeeded, .noAcceptableMethod, .credentialsRefused, .refused, .malformedAnswer, .closed,
            .silence:
            false
        }
    }

    /// One line: what the proxy answered. Which proxy that was is the caller's to say.
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
