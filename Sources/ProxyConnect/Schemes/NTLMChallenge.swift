/// The proxy's CHALLENGE_MESSAGE ([MS-NLMP] section 2.2.1.2): what its answer needs of it.
struct NTLMChallenge: Sendable, Equatable {
    /// What every NTLM message begins with.
    static let signature = Array("NTLMSSP\0".utf8)
    /// More than any directory puts into a challenge, and little enough for the answer to fit a head.
    static let maximumTargetInfo = 8_192

    /// The message as it came: the integrity code covers it.
    let message: [UInt8]
    let flags: NTLMFlags
    /// Eight bytes.
    let serverChallenge: [UInt8]
    let targetInfo: NTLMTargetInfo

    /// Nil for a message that is none, is cut short, or points outside of itself (R20).
    init?(_ message: [UInt8]) {
        let reader = LittleEndianReader(message)
        guard message.starts(with: Self.signature), reader.number(at: 8, bytes: 4) == 2,
            let flags = reader.number(at: 20, bytes: 4), let serverChallenge = reader.bytes(at: 24, count: 8)
        else { return nil }
        self.message = message
        self.flags = NTLMFlags(rawValue: UInt32(truncatingIfNeeded: flags))
        self.serverChallenge = serverChallenge
        // Old servers leave the field out, with its flag.
        guard self.flags.contains(.targetInfo) else {
            targetInfo = NTLMTargetInfo()
            return
        }
        guard let length = reader.number(at: 40, bytes: 2), length <= Self.maximumTargetInfo,
            let offset = reader.number(at: 44, bytes: 4), let bytes = reader.bytes(at: offset, count: length),
            let info = NTLMTargetInfo(bytes)
        else { return nil }
        targetInfo = info
    }
}

/// The pairs that a domain controller puts into a challenge ([MS-NLMP] section 2.2.2.1).
struct NTLMTargetInfo: Sendable, Equatable {
    private enum ID {
        static let end = 0
        static let flags = 6
        static let timestamp = 7
    }

    /// MsvAvFlags: the answer carries an integrity code.
    private static let hasIntegrityCode: UInt8 = 0x02

    private struct Pair: Sendable, Equatable {
        let id: Int
        var value: [UInt8]
    }

    private var pairs: [Pair] = []

    /// None.
    init() {}

    /// Nil for pairs that reach beyond their end. What stands behind the last pair is dropped.
    init?(_ bytes: [UInt8]) {
        let reader = LittleEndianReader(bytes)
        var position = 0
        while let id = reader.number(at: position, bytes: 2), id != ID.end {
            guard let length = reader.number(at: position + 2, bytes: 2),
                let value = reader.bytes(at: position + 4, count: length)
            else { return nil }
            pairs.append(Pair(id: id, value: value))
            position += 4 + length
        }
    }

    /// The proxy's time, eight bytes; nil where it sent none.
    var timestamp: [UInt8]? {
        pairs.first { $0.id == ID.timestamp && $0.value.count == 8 }?.value
    }

    /// The pairs as the answer carries them. With `integrity` they say that it has an integrity code.
    func encoded(integrity: Bool) -> [UInt8] {
        var pairs = pairs
        if integrity {
            if let index = pairs.firstIndex(where: { $0.id == ID.flags && $0.value.count == 4 }) {
                pairs[index].value[0] |= Self.hasIntegrityCode
            } else {
                pairs.append(Pair(id: ID.flags, value: [Self.hasIntegrityCode, 0, 0, 0]))
            }
        }
        var bytes: [UInt8] = []
        for pair in pairs {
            bytes.append(littleEndian: UInt16(truncatingIfNeeded: pair.id))
            bytes.append(littleEndian: UInt16(truncatingIfNeeded: pair.value.count))
            bytes += pair.value
        }
        return bytes + [0, 0, 0, 0]
    }
}

/// NEGOTIATE flags ([MS-NLMP] section 2.2.2.5), those that matter to a client which neither signs nor seals.
struct NTLMFlags: OptionSet, Sendable {
    let rawValue: UInt32

    static let unicode = NTLMFlags(rawValue: 0x0000_0001)
    static let oem = NTLMFlags(rawValue: 0x0000_0002)
    static let requestTarget = NTLMFlags(rawValue: 0x0000_0004)
    static let ntlm = NTLMFlags(rawValue: 0x0000_0200)
    static let alwaysSign = NTLMFlags(rawValue: 0x0000_8000)
    static let extendedSessionSecurity = NTLMFlags(rawValue: 0x0008_0000)
    static let targetInfo = NTLMFlags(rawValue: 0x0080_0000)
    static let strong = NTLMFlags(rawValue: 0x2000_0000)
    static let session56 = NTLMFlags(rawValue: 0x8000_0000)

    /// What we offer.
    static let offered: NTLMFlags = [
        .unicode, .oem, .requestTarget, .ntlm, .alwaysSign, .extendedSessionSecurity, .strong, .session56,
    ]
}

/// Reads numbers and runs of bytes by their place; nil for whatever is not there.
private struct LittleEndianReader {
    private let source: [UInt8]

    init(_ source: [UInt8]) {
        self.source = source
    }

    func bytes(at offset: Int, count: Int) -> [UInt8]? {
        guard offset >= 0, count >= 0, offset <= source.count, count <= source.count - offset else { return nil }
        return Array(source[offset..<offset + count])
    }

    /// A number of at most four bytes.
    func number(at offset: Int, bytes count: Int) -> Int? {
        bytes(at: offset, count: count)?.reversed().reduce(0) { $0 << 8 | Int($1) }
    }
}
