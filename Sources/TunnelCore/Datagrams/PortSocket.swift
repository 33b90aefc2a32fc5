import NIOCore
import NIOPosix
import NetworkAddress
import Platform

/// One socket of a UDP port.
///
/// Its datagrams leave by the system's own call. NIO closes a socket when a send fails, and a forged sender is enough for
/// that: it may have port 0, no route, or a firewall before it.
final class PortSocket {
    /// Datagrams of one system call. 16: each has room for 64 KiB, for each socket of a port.
    private static let vectorCount = 16

    let channel: any Channel
    private let handle: NIOBSDSocket.Handle
    private let dropped: DroppedDatagrams
    /// Datagrams for the next ``flush()``.
    private var waiting: [(datagram: ByteBuffer, to: SocketAddress)] = []

    /// - Parameter isShared: whether it was bound as one that joins another.
    /// - Throws: if the channel has no socket of the system.
    init(_ channel: any Channel, _ dropped: DroppedDatagrams, isShared: Bool = false) throws {
        self.isShared = isShared
        self.channel = channel
        self.dropped = dropped
        let pipeline = channel.pipeline.syncOperations
        guard let handle = try pipeline.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self, { $0 }) else {
            throw ChannelError.operationUnsupported
        }
        self.handle = handle
    }

    /// The way to bind one address of a port.
    ///
    /// - Parameters:
    ///   - isForAll: whether the address stands for all of its family.
    ///   - joins: whether the socket joins one that is for all addresses.
    ///   - receiver: gets the datagrams.
    static func bind(
        _ address: String,
        _ port: UInt16,
        isForAll: Bool,
        joins: Bool,
        on loop: any EventLoop,
        receiver: @escaping @Sendable () -> any ChannelHandler
    ) -> EventLoopFuture<any Channel> {
        var bootstrap = DatagramBootstrap(group: loop)
            .channelOption(.datagramVectorReadMessageCount, value: vectorCount)
            .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: vectorCount * 65_536))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    DescriptorCount.shared.track(channel)
                    try channel.pipeline.syncOperations.addHandler(receiver())
                }
            }
        if isForAll { bootstrap = bootstrap.channelOption(.receivePacketInfo, value: true) }
        if joins { bootstrap = bootstrap.channelOption(.socketOption(.so_reuseaddr), value: 1) }
        if address.contains(":") {
            bootstrap = bootstrap.channelOption(
                ChannelOptions.Types.SocketOption(level: .ipv6, name: .ipv6_v6only),
                value: 1
            )
        }
        do {
            return bootstrap.bind(to: try SocketAddress(ipAddress: address, port: Int(port)))
        } catch {
            return loop.makeFailedFuture(error)
        }
    }

    /// The port; 0 if it has none.
    var port: UInt16 { channel.localAddress?.port.flatMap { UInt16(exactly: $0) } ?? 0 }

    /// Sockets of single addresses that are being bound beside this one.
    var joining = 0 {
        didSet { if (joining > 0) != (oldValue > 0) { isShared = joining > 0 } }
    }

    /// Whether other sockets may join. Those of any user may, so it is true for a moment only.
    var isShared: Bool {
        didSet { try? channel.syncOptions?.setOption(.socketOption(.so_reuseaddr), value: isShared ? 1 : 0) }
    }

    /// Sends a datagram with the next ``flush()``.
    func send(_ datagram: ByteBuffer, to remote: SocketAddress) {
        waiting.append((datagram, remote))
    }

    /// Hands the datagrams to the kernel. What it does not take is lost, as in a full queue of a router.
    func flush() {
        guard !waiting.isEmpty else { return }
        defer { waiting.removeAll(keepingCapacity: true) }
        guard channel.isActive else { return dropped.add(.socket, waiting.count) }
        for (datagram, remote) in waiting {
            let sent = remote.withSockAddr { address, length in
                datagram.withUnsafeReadableBytes { bytes in
                    sendto(handle, bytes.baseAddress, bytes.count, Int32(MSG_DONTWAIT), address, socklen_t(length))
                }
            }
            if sent < 0 { dropped.add(.socket) }
        }
    }

    func close() -> EventLoopFuture<Void> {
        channel.close(promise: nil)
        return channel.closeFuture
    }
}
