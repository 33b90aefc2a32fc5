import NIOCore
import NetworkAddress
import ProxyConnect
import TunnelCore

/// The relay of datagrams for one SOCKS connection (UDP ASSOCIATE, RFC 1928, section 7). Each destination is a flow.
///
/// Its port takes datagrams only from the connection's own machine, and from the first of its ports that sends. It is closed
/// with the connection.
struct SocksAssociation {
    let limits: FlowLimits
    let dropped: DroppedDatagrams
    let loop: any EventLoop
    /// What a flow to a destination belongs to.
    let open: (Destination, SocketAddress) -> IngressFlow.Admission

    /// A relay that is bound.
    struct Relay {
        let address: IPAddress
        let port: UInt16
    }

    /// Binds the relay on the address that the program has connected to.
    ///
    /// - Returns: fails if the connection has no such address, or with a `TCPIngress.Failure`.
    func bind(for channel: any Channel) -> EventLoopFuture<Relay> {
        guard let address = channel.localAddress?.ip, let program = channel.peerAddress?.ip else {
            return loop.makeFailedFuture(ChannelError.unknownLocalAddress)
        }
        var sender: SocketAddress?
        let opener = UDPIngress.Opener { datagram, remote in
            guard remote.ip == program, sender == nil || sender == remote else { return nil }
            guard let header = SocksDatagram.takeHeader(&datagram)?.header else { return nil }
            sender = remote
            return header
        } open: { [open] remote, header in
            var header = header
            guard let target = SocksDatagram.takeHeader(&header)?.destination else { return .refused }
            return open(.host(target), remote)
        }
        let bound = UDPIngress.bind(
            addresses: ["\(address)"],
            port: 0,
            limits: limits,
            dropped: dropped,
            loop: loop,
            opener: opener
        )
        let channel = NIOLoopBound(channel, eventLoop: loop)
        return bound.assumeIsolated().map { ingress in
            channel.value.closeFuture.assumeIsolated().whenComplete { _ in ingress.close().whenComplete { _ in } }
            return Relay(address: address, port: ingress.port)
        }
        .nonisolated()
    }
}
