import ByteText
import Crypto

/// What a claim is for: a public port of all servers, or a host name.
package enum ClaimPlace: Sendable, Hashable {
    /// A TCP port.
    case tcp(UInt16)
    /// A UDP port.
    case udp(UInt16)
    /// A host name, complete and in lower case. All places under a name belong to one owner.
    case name(String)

    /// Whether every server watches it. A name is read when a visitor asks for it.
    package var isPort: Bool {
        if case .name = self { false } else { true }
    }
}

extension ClaimPlace: CustomStringConvertible {
    /// `tcp:8022`, `udp:5353` or `name:app.example.com`, as in keys.
    package var description: String {
        switch self {
        case .tcp(let port): "tcp:\(port)"
        case .udp(let port): "udp:\(port)"
        case .name(let name): "name:\(KeyText.escaped(name))"
        }
    }

    /// Creates a place from its text.
    ///
    /// - Returns: nil for a text that ``description`` does not produce.
    package init?(_ text: some StringProtocol) {
        guard let colon = text.firstIndex(of: ":") else { return nil }
        let rest = text[text.index(after: colon)...]
        switch text[..<colon] {
        case "tcp":
            guard let port = UInt16(rest) else { return nil }
            self = .tcp(port)
        case "udp":
            guard let port = UInt16(rest) else { return nil }
            self = .udp(port)
        case "name":
            guard let name = KeyText.unescaped(rest), !name.isEmpty else { return nil }
            self = .name(name)
        default:
            return nil
        }
        guard description == text else { return nil }
    }
}

/// The owner of a place: one client, or the group whose members share it.
package enum ClaimOwner: Sendable, Hashable {
    /// The identity of a client, at most 32 bytes.
    case client([UInt8])
    /// A digest of a group's name and of the proof of its key.
    case group([UInt8])

    /// The group with a name and a proof (section 2 of the session protocol, fields 18 and 19 of BIND).
    package init(group name: String, proof: [UInt8]) {
        self = .group(KeyText.digest("culvert cluster group", Array(name.utf8), proof))
    }

    /// Whether several members may share a place.
    package var isGroup: Bool {
        if case .group = self { true } else { false }
    }
}

extension ClaimOwner: CustomStringConvertible {
    /// `c-` or `g-`, and hexadecimal digits.
    package var description: String {
        switch self {
        case .client(let id): "c-\(Base16.encoded(id))"
        case .group(let digest): "g-\(Base16.encoded(digest))"
        }
    }

    /// Creates an owner from its text.
    package init?(_ text: some StringProtocol) {
        guard let bytes = Base16.decoded(text.dropFirst(2)), (1...32).contains(bytes.count) else { return nil }
        switch text.prefix(2) {
        case "c-": self = .client(bytes)
        case "g-": self = .group(bytes)
        default: return nil
        }
        guard description == text else { return nil }
    }
}

/// One process of a client. A restarted process has the same value.
package struct ClaimMember: Sendable, Hashable {
    /// The digest of the client's identity and its instance, 16 bytes.
    package let digest: [UInt8]

    /// Creates the member of a client's process.
    package init(client: [UInt8], instance: [UInt8]) {
        digest = KeyText.digest("culvert cluster member", client, instance)
    }

    /// Creates a member from its text.
    package init?(_ text: some StringProtocol) {
        guard let bytes = Base16.decoded(text), bytes.count == KeyText.digestSize, Base16.encoded(bytes) == text else {
            return nil
        }
        digest = bytes
    }
}

extension ClaimMember: CustomStringConvertible {
    /// 32 hexadecimal digits.
    package var description: String { Base16.encoded(digest) }
}

/// The key of one claim: at most one claim has it at a time.
package struct ClaimKey: Sendable, Hashable {
    /// Longest text of a key in bytes. 4,096: a host name has 253, and a path in its part seldom more than 1,000.
    package static let longestText = 4_096

    /// The place.
    package let place: ClaimPlace
    /// The place's owner. All claims of a place have the same one.
    package let owner: ClaimOwner
    /// The part of the name that is claimed, such as `http:/api`; empty for a port. Members of a group share a part. An
    /// owner that is a client has one member for each part.
    package let part: String
    /// The process that has claimed it.
    package let member: ClaimMember

    /// Creates a key.
    package init(_ place: ClaimPlace, part: String = "", owner: ClaimOwner, member: ClaimMember) {
        (self.place, self.part, self.owner, self.member) = (place, part, owner, member)
    }

    /// Whether two claims cannot exist at the same time.
    package func excludes(_ other: ClaimKey) -> Bool {
        guard place == other.place else { return false }
        guard owner == other.owner else { return true }
        return part == other.part && (!owner.isGroup || member == other.member)
    }
}

extension ClaimKey: CustomStringConvertible {
    /// `PLACE/OWNER/PART/MEMBER`, each without a slash.
    package var description: String { "\(place)/\(owner)/\(KeyText.escaped(part))/\(member)" }

    /// Creates a key from its text.
    ///
    /// - Returns: nil for a text that ``description`` does not produce.
    package init?(_ text: some StringProtocol) {
        guard text.utf8.count <= Self.longestText else { return nil }
        let fields = text.split(separator: "/", omittingEmptySubsequences: false)
        guard fields.count == 4, let place = ClaimPlace(fields[0]), let owner = ClaimOwner(fields[1]),
            let part = KeyText.unescaped(fields[2]), let member = ClaimMember(fields[3])
        else { return nil }
        self.init(place, part: part, owner: owner, member: member)
        guard description == text else { return nil }
    }
}

/// Texts in keys of the store.
enum KeyText {
    static let digestSize = 16

    /// Percent-encodes everything but unreserved characters (RFC 3986, section 2.3), in lower case, so that a text has no slash.
    static func escaped(_ text: String) -> String {
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: ":"):
                bytes.append(byte)
            default:
                bytes.append(UInt8(ascii: "%"))
                bytes += Base16.encoded([byte]).utf8
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Decodes an escaped text; nil if it is malformed or is not UTF-8.
    static func unescaped(_ text: some StringProtocol) -> String? {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 2, let decoded = Base16.decoded(String(decoding: rest.prefix(2), as: UTF8.self)) else {
                return nil
            }
            bytes += decoded
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    /// The first bytes of SHA-256 over a label and values, each with its length.
    static func digest(_ label: String, _ values: [UInt8]...) -> [UInt8] {
        var hash = SHA256()
        hash.update(data: Array(label.utf8))
        for value in values {
            hash.update(data: (0..<4).map { UInt8(truncatingIfNeeded: value.count >> (24 - 8 * $0)) })
            hash.update(data: value)
        }
        return Array(hash.finalize().prefix(digestSize))
    }
}
