import Mux
import NIOCore
import NIOPosix
import NetworkAddress

/// Connects to a service by TCP, on the session's own event loop.
package struct TCPEgress: Egress {
    /// What is connected to.
    private enum Target {
        case host(String)
        /// Exactly these addresses, without a lookup.
        case addresses([IPAddress])
    }

    private let target: Target
    private let port: UInt16
    private let loop: any EventLoop
    private let timeout: TimeAmount
    private let names: HostNames
    /// For sockets that are connected already: the same for all visitors.
    private let adopting: NIOLoopBound<ClientBootstrap>

    /// Connects to a host, wherever its name leads. To be made on `loop`.
    ///
    /// - Parameter timeout: time that the service may take to accept a connection.
    package init(
        host: String,
        port: UInt16,
        loop: any EventLoop,
        timeout: TimeAmount,
        names: HostNames = .shared
    ) {
        self.init(.host(host), port, loop, timeout, names)
    }

    /// Connects to one of these addresses, and to no other. To be made on `loop`.
    package init(addresses: [IPAddress], port: UInt16, loop: any EventLoop, timeout: TimeAmount) {
        self.init(.addresses(addresses), port, loop, timeout, .shared)
    }

    private init(
        _ target: Target,
        _ port: UInt16,
        _ loop: any EventLoop,
        _ timeout: TimeAmount,
        _ names: HostNames
    ) {
        self.target = target
        self.port = port
        self.loop = loop
        self.timeout = timeout
        self.names = names
        let bootstrap = ClientBootstrap(group: loop).channelInitializer { channel in
            channel.eventLoop.makeCompletedFuture { try SocketOptions.service(channel) }
        }
        adopting = NIOLoopBound(bootstrap, eventLoop: loop)
    }

    package func connect(for pipe: StreamPipe) -> EventLoopFuture<any Channel> {
        let attempts = NIOLoopBound(ConnectAttempts(), eventLoop: loop)
        pipe.connecting { attempts.value.cancel() }
        let port = Int(port)
        switch target {
        // localhost needs no resolver (RFC 6761 section 6.3).
        case .host("localhost"): return connect([.v4(0x7F00_0001), .v6(1)], port, attempts)
        case .host(let host): return connect(host, port, attempts)
        case .addresses(let addresses): return connect(addresses[...], port, attempts)
        }
    }

    /// Tries one address after the other. The error is that of the first.
    private func connect(
        _ addresses: ArraySlice<IPAddress>,
        _ port: Int,
        _ attempts: NIOLoopBound<ConnectAttempts>
    ) -> EventLoopFuture<any Channel> {
        guard let first = addresses.first else { return loop.makeFailedFuture(NameFailure.notFound) }
        return connect("\(first)", port, attempts).flatMapError { error in
            guard addresses.count > 1, !attempts.value.isCancelled else { return loop.makeFailedFuture(error) }
            return connect(addresses.dropFirst(), port, attempts).flatMapErrorThrowing { _ in throw error }
        }
    }

    private func connect(
        _ host: String,
        _ port: Int,
        _ attempts: NIOLoopBound<ConnectAttempts>
    ) -> EventLoopFuture<any Channel> {
        let address = try? SocketAddress(ipAddress: host, port: port)
        if let address {
            do {
                // Done at once, so that the pipe cannot end meanwhile.
                if let socket = try LoopbackConnect.connected(to: address) {
                    return adopting.value.withConnectedSocket(socket)
                }
            } catch {
                return loop.makeFailedFuture(error)
            }
        }
        let bootstrap = ClientBootstrap(group: loop)
            .connectTimeout(timeout)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try SocketOptions.service(channel)
                    if address == nil { try channel.pipeline.syncOperations.addHandler(ServiceAddressGuard()) }
                    attempts.value.begun(channel)
                }
            }
        if let address { return bootstrap.connect(to: address) }
        return bootstrap.resolver(HostResolver(names, for: .service, on: loop)).connect(host: host, port: port)
    }
}

/// The sockets with which one service is being tried: a name may have several addresses.
private final class ConnectAttempts {
    private var channels: [any Channel] = []
    private(set) var isCancelled = false

    func begun(_ channel: any Channel) {
        channels.append(channel)
        if isCancelled { reset(channel) }
    }

    func cancel() {
        isCancelled = true
        for channel in channels { reset(channel) }
    }

    /// The visitor was reset: a service that had accepted already is to see the same.
    private func reset(_ channel: any Channel) {
        SocketOptions.resetOnClose(channel)
        channel.close(promise: nil)
    }
}
