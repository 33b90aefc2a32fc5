/// The attribute pairs that a domain controller puts into a challenge ([MS-NLMP], section 2.2.2.1).
struct NTLMTargetInfo: Sendable, Equatable {
    private enum ID {
        static let end = 0
        static let flags = 6
        static let timestamp = 7
    }

    /// The bit of MsvAvFlags for an integrity code in the answer.
    private static let hasIntegrityCode: UInt8 = 0x02

    private struct Pair: Sendable, Equatable {
        let id: Int
        var value: [UInt8]
    }

    private var pairs: [Pair] = []

    /// Creates an empty list.
    init() {}

    /// Parses pairs; nil if one exceeds the bytes. Bytes behind the last pair are discarded.
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

    /// The proxy's time, eight bytes; nil if it sent none.
    var timestamp: [UInt8]? {
        pairs.first { $0.id == ID.timestamp && $0.value.count == 8 }?.value
    }

    /// Returns the pairs for the answer. With `integrity` they announce an integrity code.
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
