/// One answer of the proxy, parsed byte by byte.
///
/// ```
///   greeting        5  method
///   authentication  1  status
///   request         5  reply  reserved  type of address  address ...  port
/// ```
///
/// The address in a reply is the one that the proxy connects from. It is skipped, as is the reserved byte, which has no
/// meaning.
struct SocksAnswer: Sendable {
    enum Verdict: Sendable, Equatable {
        case method(UInt8)
        case status(UInt8)
        case reply(SocksReply)
        case malformed(SocksMalformation)
    }

    let step: SocksStep
    /// The bytes so far, at most 262: four, a length byte, a name of 255 and a port.
    private(set) var bytes: [UInt8] = []

    init(_ step: SocksStep) {
        self.step = step
    }

    /// Appends a byte and returns the verdict; nil while more bytes are needed. Must not be called after a verdict.
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

    /// The verdict on a reply. A refusal is complete with its code, since some proxies omit the rest.
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
