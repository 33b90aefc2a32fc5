import NIOCore
import NetworkAddress

/// Refuses addresses at which no service is, if a name leads there. The name's owner could point it at the machine's cloud
/// metadata (169.254.169.254) or at all hosts of the link. Each dialled address of a name is checked; an address that the
/// configuration states is dialled unchecked.
package final class ServiceAddressGuard: ChannelOutboundHandler {
    package typealias OutboundIn = Never

    /// A name has led to an address at which no service is.
    package struct Forbidden: Error {
        package let address: String
    }

    package func connect(context: ChannelHandlerContext, to address: SocketAddress, promise: EventLoopPromise<Void>?) {
        guard let ip = address.ip, ip.mayBeService else {
            promise?.fail(Forbidden(address: address.ipAddress ?? "no address"))
            return
        }
        context.connect(to: address, promise: promise)
    }
}

extension IPAddress {
    /// Neither unspecified, link-local, multicast nor broadcast, nor an address at which a cloud answers its machines; nor
    /// an IPv6 address that a translator turns into one of these.
    package var mayBeService: Bool {
        switch unmapped {
        case .v4(let bits):
            return bits >> 24 != 0 && bits >> 28 != 0xE && bits != .max && !Self.isPrivileged(bits)
        case .v6(let bits):
            guard bits != 0, bits >> 118 != 0x3FA, bits >> 120 != 0xFF, !Self.metadata.contains(bits) else {
                return false
            }
            return !Self.translated(bits).contains(where: Self.isPrivileged)
        }
    }

    /// The IPv4 addresses that an IPv6 address may stand for on its way; none for an IPv4 address.
    package var embeddedIPv4: [IPAddress] {
        guard case .v6(let bits) = unmapped else { return [] }
        return Self.translated(bits).map { .v4($0) }
    }

    /// Link-local, or a cloud's metadata.
    private static func isPrivileged(_ bits: UInt32) -> Bool {
        bits >> 16 == 0xA9FE || metadataV4.contains(bits)
    }

    /// Metadata outside 169.254.0.0/16: Azure's 168.63.129.16, Alibaba's 100.100.100.200, Oracle's 192.0.0.192.
    private static let metadataV4: Set<UInt32> = [0xA83F_8110, 0x6464_64C8, 0xC000_00C0]

    /// Metadata in IPv6: Amazon's fd00:ec2::254 and fd00:ec2::23, Google's fd20:ce::254, Oracle's fd00:c1::a9fe:a9fe,
    /// Scaleway's fd00:42::42.
    private static let metadata: Set<UInt128> = [
        0xFD00_0EC2 << 96 | 0x254, 0xFD00_0EC2 << 96 | 0x23, 0xFD20_00CE << 96 | 0x254, 0xFD00_00C1 << 96 | 0xA9FE_A9FE,
        0xFD00_0042 << 96 | 0x42,
    ]

    /// The IPv4 addresses that an IPv6 address may stand for on its way.
    private static func translated(_ bits: UInt128) -> [UInt32] {
        func part(_ shift: Int) -> UInt32 { UInt32(truncatingIfNeeded: bits >> UInt128(shift)) }
        // NAT64's well-known prefix (RFC 6052), IPv4-compatible and IPv4-translated addresses (RFC 4291, RFC 7915).
        if bits >> 32 == 0x0064_FF9B << 64 || bits >> 32 == 0 || bits >> 32 == 0xFFFF << 16 { return [part(0)] }
        // NAT64 of a network's own (RFC 8215): the operator's prefix has 48, 56, 64 or 96 bits, and byte 8 is left out.
        if bits >> 80 == 0x0064_FF9B_0001 {
            let high = part(64) & 0xFFFF
            return [
                part(0), high << 16 | part(40) & 0xFFFF, (high & 0xFF) << 24 | part(32) & 0xFF_FFFF, part(24),
            ]
        }
        // 6to4 (RFC 3056), and Teredo's client, whose bits are turned over (RFC 4380).
        if bits >> 112 == 0x2002 { return [part(80)] }
        if bits >> 96 == 0x2001_0000 { return [~part(0)] }
        // ISATAP (RFC 5214).
        if part(32) & 0xFDFF_FFFF == 0x0000_5EFE { return [part(0)] }
        return []
    }
}
