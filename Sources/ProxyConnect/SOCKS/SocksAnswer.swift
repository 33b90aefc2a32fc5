/// How an address is written (RFC 1928 section 5).
enum SocksAddressType {
    static let ipv4: UInt8 = 1
    static let name: UInt8 = 3
    static let ipv6: UInt8 = 4
}

/// What the proxy was asked last.
public enum SocksStep: Sendable, Hashable {
    /// Which method of authentication it wants (RFC 1928 section 3).
    case greeting
    /// Whether it takes the user and the password (RFC 1929 section 2).
    case authentication
    /// To connect to the server (RFC 1928 sections 4 and 6).
    case request
}

/// One answer of the proxy's, taken byte by byte.
///
/// ```
///   greeting        5  method
///   authentication  1  status
///   request         5  reply  reserved  type of address  address ...  port
/// ```
///
/// The address in a reply is the one that the proxy connects from. It is read past, whatever it says, and so is the
/// reserved byte, which has no meaning that a wrong one could spoil.
struct SocksAnswer: Sendable {
    enum Verdict: Sendable, Equatable {
        case method(UInt8)
        case status(UInt8)
        case reply(SocksReply)
        case malformed(SocksMalformation)
    }

    let step: SocksStep
    /// At most 262: four, a length byte, a name of 255 and a port.
    private(set) var bytes: [UInt8] = []

    init(_ step: SocksStep) {
        self.step = step
    }

    /// What the answer says once this byte is there too; nil while more must come. Not to be called after a verdict.
    mutating func append(_ byte: UInt8) -> Verdict? {
        bytes.append(byte)
        let version = bytes[0]
        switch step {
        case .greeting:
            guard version == 5 else { return SocksSpeaker(beginning: bytes).map { .malformed(.otherProtocol($0)) } }
            return bytes.count < 2 ? nil : .method(byte)
        case .authentication:
            guard version == 1 else { return .malformed(.wrongVersion(version, step)) }
            return bytes.count < 2 ? nil : .status(byte)
        case .request:
            guard version == 5 else { return .malformed(.wrongVersion(version, step)) }
            return reply
        }
    }

    /// A refusal is one as soon as its code is there: some proxies leave out the rest.
    private var reply: Verdict? {
        guard bytes.count >= 2 else { return nil }
        let reply = SocksReply(rawValue: bytes[1])
        guard reply == .succeeded else { return .reply(reply) }
        guard bytes.count >= 4 else { return nil }
        let length: Int
        switch bytes[3] {
        case SocksAddressType.ipv4:
            length = 4
        case SocksAddressType.ipv6:
            length = 16
        case SocksAddressType.name:
            guard bytes.count >= 5 else { return nil }
            length = 1 + Int(bytes[4])
        default:
            return .malformed(.unknownAddressType(bytes[3]))
        }
        return bytes.count < 4 + length + 2 ? nil : .reply(reply)
    }
}

/// Who answers where a SOCKS 5 proxy was expected, by the first bytes.
public enum SocksSpeaker: Sendable, Hashable {
    /// A status line, or the beginning of a page.
    case http
    /// A TLS alert.
    case tls
    /// SOCKS version 4, whose replies begin with 0, with some proxies with 4.
    case socks4
    /// Anything else.
    case unknown

    /// Nil while the bytes may still become a status line.
    init?(beginning bytes: [UInt8]) {
        switch bytes.first {
        case UInt8(ascii: "<"): self = .http
        case 0x15: self = .tls
        case 0, 4: self = .socks4
        case _ where bytes.starts(with: "HTTP/".utf8): self = .http
        case _ where "HTTP/".utf8.starts(with: bytes): return nil
        case _: self = .unknown
        }
    }
}

/// What is wrong with an answer.
public enum SocksMalformation: Sendable, Hashable {
    /// The first answer does not begin with a 5.
    case otherProtocol(SocksSpeaker)
    /// A later one does not begin with the version that belongs there. Some clients overlook it; RFC 1929 section 2
    /// does not.
    case wrongVersion(UInt8, SocksStep)
    /// A method that was not among those offered.
    case methodNotOffered(UInt8)
    /// A reply whose end cannot be found.
    case unknownAddressType(UInt8)
}
