import ByteText

/// A block of addresses, such as `10.0.0.0/8` or `fd00::/8` (RFC 4632; RFC 4291, section 2.3).
public struct CIDRBlock: Sendable, Hashable, CustomStringConvertible {
    /// The first address of the block.
    public let network: IPAddress
    /// The number of leading bits that identify the block: 0 to 32, or 0 to 128.
    public let prefixLength: Int

    /// Parses a block; nil if the text is not one. Bits behind the prefix are treated as zero and not required to be.
    public init?(_ text: String) {
        let parts = text.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        guard parts.count == 2, let address = IPAddress(String(Substring(parts[0]))) else { return nil }
        let bits = if case .v4 = address { 32 } else { 128 }
        guard let length = DecimalText.value(parts[1], through: bits) else { return nil }
        prefixLength = length
        network = Self.masked(address, length)
    }

    /// Creates a block of one address.
    public init(_ address: IPAddress) {
        network = address
        prefixLength = if case .v4 = address { 32 } else { 128 }
    }

    /// Two blocks that contain all addresses.
    public static let everything = [
        CIDRBlock(network: .v4(0), prefixLength: 0), CIDRBlock(network: .v6(0), prefixLength: 0),
    ]

    private init(network: IPAddress, prefixLength: Int) {
        self.network = network
        self.prefixLength = prefixLength
    }

    /// Returns whether every address of the other block lies in this one.
    public func contains(_ other: CIDRBlock) -> Bool {
        other.prefixLength >= prefixLength && contains(other.network)
    }

    /// Returns whether the address lies in the block. An IPv4-mapped IPv6 address counts as its IPv4 address.
    public func contains(_ address: IPAddress) -> Bool {
        switch (network, address) {
        case (.v4, .v4), (.v6, .v6):
            if Self.masked(address, prefixLength) == network { return true }
        case (.v4, .v6), (.v6, .v4):
            break
        }
        guard case (.v4, .v6) = (network, address), case .v4 = address.unmapped else { return false }
        return Self.masked(address.unmapped, prefixLength) == network
    }

    /// The block in canonical text.
    public var description: String { "\(network)/\(prefixLength)" }

    /// Returns the address with the bits behind the prefix cleared. Swift's smart shift yields zero if all bits are
    /// shifted out, so length 0 needs no special case.
    private static func masked(_ address: IPAddress, _ length: Int) -> IPAddress {
        switch address {
        case .v4(let value): .v4(value & (UInt32.max << UInt32(32 - length)))
        case .v6(let value): .v6(value & (UInt128.max << UInt128(128 - length)))
        }
    }
}
