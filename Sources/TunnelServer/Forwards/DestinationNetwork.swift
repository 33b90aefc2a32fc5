import NIOCore
import NetworkAddress
import TunnelCore

/// The network as ``ClientForwards`` uses it: lookups of names, and connections to destinations that were judged.
protocol DestinationNetwork {
    /// Looks a name up.
    func addresses(of name: String) -> EventLoopFuture<[SocketAddress]>
    /// The way to exactly these addresses.
    ///
    /// - Parameter onSocket: called with each socket when its connect begins.
    func egress(
        to addresses: [IPAddress],
        port: UInt16,
        timeout: TimeAmount,
        onSocket: @escaping (any Channel) -> Void
    ) -> any Egress
    /// The way to a Unix socket.
    func egress(to path: String, timeout: TimeAmount, onSocket: @escaping (any Channel) -> Void) -> any Egress
}

/// The system's own network, on the session's event loop.
struct SystemNetwork: DestinationNetwork {
    let loop: any EventLoop
    /// The id of the client that names the destinations.
    let client: [UInt8]
    var names = HostNames.shared

    func addresses(of name: String) -> EventLoopFuture<[SocketAddress]> {
        names.addresses(of: name, for: .destination(client: client), on: loop).0
    }

    func egress(
        to addresses: [IPAddress],
        port: UInt16,
        timeout: TimeAmount,
        onSocket: @escaping (any Channel) -> Void
    ) -> any Egress {
        TCPEgress(addresses: addresses, port: port, loop: loop, timeout: timeout, onSocket: onSocket)
    }

    func egress(to path: String, timeout: TimeAmount, onSocket: @escaping (any Channel) -> Void) -> any Egress {
        UnixEgress(path: path, loop: loop, timeout: timeout, onSocket: onSocket)
    }
}
