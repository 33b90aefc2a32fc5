/// The groups that a header field belongs to, found without an allocation: each field of each message is looked up.
package struct FieldKind: OptionSet, Sendable {
    package let rawValue: UInt16

    package init(rawValue: UInt16) { self.rawValue = rawValue }

    /// ``FieldNames/hopByHop``.
    package static let hopByHop = FieldKind(rawValue: 1)
    /// A statement about the request's origin or target.
    package static let origin = FieldKind(rawValue: 2)
    /// ``FieldNames/lasting``.
    package static let lasting = FieldKind(rawValue: 4)
    /// ``FieldNames/framing``.
    package static let framing = FieldKind(rawValue: 8)
    /// Not a trailer.
    package static let leading = FieldKind(rawValue: 16)
    /// Content-Length.
    package static let length = FieldKind(rawValue: 32)
    /// Authorization.
    package static let credentials = FieldKind(rawValue: 64)
    /// Expect.
    package static let expectation = FieldKind(rawValue: 128)
    /// The name is spelled with hyphens alone.
    package static let isSpelledOut = FieldKind(rawValue: 256)

    /// The known names by their lengths.
    private static let known: [[(name: [UInt8], kind: FieldKind)]] = {
        var kinds: [String: FieldKind] = [:]
        for (names, kind) in [
            (FieldNames.hopByHop, FieldKind.hopByHop), (FieldNames.origins, .origin), (FieldNames.lasting, .lasting),
            (FieldNames.framing, .framing), (FieldNames.heads, .leading), (["content-length"], .length),
            (["authorization"], .credentials), (["expect"], .expectation),
        ] {
            for name in names { kinds[name, default: []].insert(kind) }
        }
        var known: [[(name: [UInt8], kind: FieldKind)]] = []
        for (name, kind) in kinds {
            while known.count <= name.utf8.count { known.append([]) }
            known[name.utf8.count].append((Array(name.utf8), kind))
        }
        return known
    }()
    private static let forwarded = Array("x-forwarded".utf8)

    /// The groups of a field, in any case and spelling.
    package init(_ name: String) {
        self = name.utf8.withContiguousStorageIfAvailable { Self.find($0) } ?? Self.find(Array(name.utf8))
    }

    private static func find(_ name: some RandomAccessCollection<UInt8>) -> FieldKind {
        var kind: FieldKind = name.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") } ? .isSpelledOut : []
        if name.count >= forwarded.count, isSame(name.prefix(forwarded.count), forwarded) {
            kind.formUnion([.origin, .leading])
        }
        guard name.count < known.count else { return kind }
        for candidate in known[name.count] where isSame(name, candidate.name) { kind.formUnion(candidate.kind) }
        return kind
    }

    private static func isSame(_ name: some Collection<UInt8>, _ spelling: [UInt8]) -> Bool {
        name.elementsEqual(spelling) { byte, expected in
            byte == expected || (byte | 0x20 == expected && isAlphanumeric(byte))
                || (expected == UInt8(ascii: "-") && !isAlphanumeric(byte))
        }
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        default: false
        }
    }
}
