import NIOCore
import ProxyConnect

/// Keeps a service's name from leading where no service is: whoever answers for the name may have it point at the
/// machine's cloud metadata (169.254.169.254), at every host of the link, or at nobody. Asked for each connection, about
/// the address that is dialled. An address that the client's owner has written down is dialled as it is.
final class ServiceAddressGuard: ChannelOutboundHandler {
    typealias OutboundIn = Never

    /// A name has led to an address where no service is.
    struct Forbidden: Error {
        let address: String
    }

    func connect(context: ChannelHandlerContext, to address: SocketAddress, promise: EventLoopPromise<Void>?) {
        guard let ip = address.ip, ip.mayBeService else {
            promise?.fail(Forbidden(address: address.ipAddress ?? "no address"))
            return
        }
        context.connect(to: address, promise: promise)
    }
}

extension IPAddress {
    /// Neither unspecified, link-local, multicast nor broadcast, nor the metadata address that a cloud has in IPv6.
    var mayBeService: Bool {
        switch unmapped {
        case .v4(let bits): bits >> 24 != 0 && bits >> 16 != 0xA9FE && bits >> 28 != 0xE && bits != .max
        case .v6(let bits): bits != 0 && bits >> 118 != 0x3FA && bits >> 120 != 0xFF && bits != Self.cloudMetadata
        }
    }

    /// fd00:ec2::254.
    private static let cloudMetadata: UInt128 = 0xFD00_0EC2 << 96 | 0x254
}
