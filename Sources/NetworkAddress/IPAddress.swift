import ByteText

/// An IPv4 or IPv6 address with strict parsing.
///
/// Accepted are four decimal octets without leading zeros, and the text of RFC 4291, section 2.2, without a zone. The
/// forms of `inet_aton` (`127.1`, `0x7f.1`, `017700000001`) are refused, so that two programs never read the same text
/// as different hosts.
public enum IPAddress: Sendable, Hashable, CustomStringConvertible {
    /// An IPv4 address with the first octet in the highest bits.
    case v4(UInt32)
    /// An IPv6 address with the first group in the highest bits.
    case v6(UInt128)

    /// Parses an address; nil if the text is not one. An IPv6 address may be in brackets.
    public init?(_ text: String) {
        if text.utf8.first == UInt8(ascii: "["), text.utf8.last == UInt8(ascii: "]") {
            guard let value = Self.parseV6(text.dropFirst().dropLast()) else { return nil }
            self = .v6(value)
        } else if let value = Self.parseV4(Substring(text)) {
            self = .v4(value)
        } else if let value = Self.parseV6(Substring(text)) {
            self = .v6(value)
        } else {
            return nil
        }
    }

    /// Creates an address from 4 or 16 bytes, the highest first; nil for another number of bytes.
    public init?(bytes: some Collection<UInt8>) {
        switch bytes.count {
        case 4: self = .v4(bytes.reduce(0) { $0 << 8 | UInt32($1) })
        case 16: self = .v6(bytes.reduce(0) { $0 << 8 | UInt128($1) })
        default: return nil
        }
    }

    /// The address as 4 or 16 bytes, the highest first.
    public var bytes: [UInt8] {
        switch self {
        case .v4(let value): stride(from: 24, through: 0, by: -8).map { UInt8(truncatingIfNeeded: value >> UInt32($0)) }
        case .v6(let value):
            stride(from: 120, through: 0, by: -8).map { UInt8(truncatingIfNeeded: value >> UInt128($0)) }
        }
    }

    /// The IPv4 address in an IPv4-mapped IPv6 address (`::ffff:192.0.2.1`); any other address unchanged.
    public var unmapped: IPAddress {
        guard case .v6(let value) = self, value >> 32 == 0xFFFF else { return self }
        return .v4(UInt32(truncatingIfNeeded: value))
    }

    /// The first address of the block that one subscriber usually has: an IPv4 address, or a /64 of IPv6.
    package var subscriber: IPAddress {
        guard case .v6(let value) = unmapped else { return unmapped }
        return .v6((value >> 64) << 64)
    }

    /// Whether the address lies in 127.0.0.0/8 or is ::1, also in IPv4-mapped form.
    public var isLoopback: Bool {
        switch unmapped {
        case .v4(let value): value >> 24 == 127
        case .v6(let value): value == 1
        }
    }

    /// The canonical text (RFC 5952) without brackets.
    public var description: String {
        switch self {
        case .v4(let value):
            return Self.text(of: value)
        case .v6(let value):
            if case .v4 = unmapped { return "::ffff:\(unmapped)" }
            let groups = stride(from: 112, through: 0, by: -16).map { UInt16(truncatingIfNeeded: value >> UInt128($0)) }
            return Self.text(of: groups)
        }
    }

    /// Formats an address digit by digit, since a server writes the address of each visitor.
    private static func text(of address: UInt32) -> String {
        String(unsafeUninitializedCapacity: "255.255.255.255".utf8.count) { text in
            var count = 0
            func append(_ byte: UInt8) {
                text[count] = byte
                count += 1
            }
            for shift: UInt32 in [24, 16, 8, 0] {
                let octet = UInt8(truncatingIfNeeded: address >> shift)
                if count > 0 { append(UInt8(ascii: ".")) }
                if octet >= 100 { append(UInt8(ascii: "0") + octet / 100) }
                if octet >= 10 { append(UInt8(ascii: "0") + octet / 10 % 10) }
                append(UInt8(ascii: "0") + octet % 10)
            }
            return count
        }
    }

    /// Formats groups and writes the first of the longest runs of two or more zero groups as `::`.
    private static func text(of groups: [UInt16]) -> String {
        var best = 0..<0
        var start = 0
        for (index, group) in groups.enumerated() {
            if group != 0 {
                start = index + 1
            } else if index + 1 - start > max(best.count, 1) {
                best = start..<index + 1
            }
        }
        let hex = groups.map { String($0, radix: 16) }
        guard !best.isEmpty else { return hex.joined(separator: ":") }
        return hex[..<best.lowerBound].joined(separator: ":") + "::" + hex[best.upperBound...].joined(separator: ":")
    }

    private static func parseV4(_ text: Substring) -> UInt32? {
        let parts = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var value: UInt32 = 0
        for part in parts {
            guard let octet = DecimalText.value(part, through: 255) else { return nil }
            value = value << 8 | UInt32(octet)
        }
        return value
    }

    private static func parseV6(_ text: Substring) -> UInt128? {
        let colon = UInt8(ascii: ":")
        var parts = text.utf8.split(separator: colon, omittingEmptySubsequences: false)
        // "::" at an end yields two empty parts there; one stands for the gap.
        guard (3...10).contains(parts.count) else { return nil }
        if parts[0].isEmpty {
            guard parts[1].isEmpty else { return nil }
            parts.removeFirst()
        }
        if parts.count > 1, parts[parts.count - 1].isEmpty {
            guard parts[parts.count - 2].isEmpty else { return nil }
            parts.removeLast()
        }
        var groups: [UInt128] = []
        var gap: Int?
        for (index, part) in parts.enumerated() {
            if part.isEmpty {
                guard gap == nil else { return nil }
                gap = groups.count
            } else if index == parts.count - 1, let tail = parseV4(Substring(part)) {
                groups += [UInt128(tail >> 16), UInt128(tail & 0xFFFF)]
            } else {
                guard part.count <= 4, part.allSatisfy({ $0.isHexDigit }),
                    let group = UInt16(Substring(part), radix: 16)
                else { return nil }
                groups.append(UInt128(group))
            }
        }
        if let gap {
            guard groups.count < 8 else { return nil }
            groups.insert(contentsOf: repeatElement(0, count: 8 - groups.count), at: gap)
        }
        guard groups.count == 8 else { return nil }
        return groups.reduce(0) { $0 << 16 | $1 }
    }
}
