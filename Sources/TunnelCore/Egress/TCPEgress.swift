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
    private let onSocket: NIOLoopBound<(any Channel) -> Void>
    /// For sockets that are connected already: the same for all visitors.
    private let adopting: NIOLoopBound<ClientBootstrap>

    /// Connects to a host, wherever its name leads. To be made on `loop`.
    ///
    /// - Parameter timeout: time that the service may take to accept a connection, on all its addresses together.
    package init(
        host: String,
        port: UInt16,
        loop: any EventLoop,
        timeout: TimeAmount,
        names: HostNames = .shared
    ) {
        self.init(.host(host), port, loop, timeout, names) { _ in }
    }

    /// Connects to one of these addresses, and to no other. To be made on `loop`.
    ///
    /// - Parameter onSocket: called with each socket when its connect begins.
    package init(
        addresses: [IPAddress],
        port: UInt16,
        loop: any EventLoop,
        timeout: TimeAmount,
        onSocket: @escaping (any Channel) -> Void = { _ in }
    ) {
        self.init(.addresses(addresses), port, loop, timeout, .shared, onSocket)
    }

    private init(
        _ target: Target,
        _ port: UInt16,
        _ loop: any EventLoop,
        _ timeout: TimeAmount,
        _ names: HostNames,
        _ onSocket: @escaping (any Channel) -> Void
    ) {
        self.target = target
        self.port = port
        self.loop = loop
        self.timeout = timeout
        self.names = names
        let onSocket = NIOLoopBound(onSocket, eventLoop: loop)
        self.onSocket = onSocket
        let bootstrap = ClientBootstrap(group: loop).channelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                onSocket.value(channel)
                try SocketOptions.service(channel)
            }
        }
        adopting = NIOLoopBound(bootstrap, eventLoop: loop)
    }

    package func connect(onBegin: (@escaping () -> Void) -> Void) -> EventLoopFuture<any Channel> {
        let attempts = NIOLoopBound(ConnectAttempts(), eventLoop: loop)
        onBegin { attempts.value.cancel() }
        switch target {
        // localhost needs no resolver (RFC 6761 section 6.3).
        case .host("localhost"): return connect([.v4(0x7F00_0001), .v6(1)], attempts)
        case .host(let host):
            if let address = try? SocketAddress(ipAddress: host, port: Int(port)) {
                return connect([address], attempts)
            }
            return connect(host, attempts)
        case .addresses(let addresses): return connect(addresses, attempts)
        }
    }

    private func connect(
        _ addresses: [IPAddress],
        _ attempts: NIOLoopBound<ConnectAttempts>
    ) -> EventLoopFuture<any Channel> {
        do {
            return connect(try addresses.map { try SocketAddress(ipAddress: "\($0)", port: Int(port)) }, attempts)
        } catch {
            return loop.makeFailedFuture(error)
        }
    }

    /// Connects to the first of these addresses that answers. The next one is begun 250 ms after the one before, or at once
    /// if that has failed (RFC 8305).
    private func connect(
        _ addresses: [SocketAddress],
        _ attempts: NIOLoopBound<ConnectAttempts>
    ) -> EventLoopFuture<any Channel> {
        var rest: [SocketAddress] = []
        var failure: (any Error)?
        for address in addresses {
            do {
                // Done at once, so that the pipe cannot end meanwhile.
                if let socket = try LoopbackConnect.connected(to: address) {
                    return adopting.value.withConnectedSocket(socket)
                }
                rest.append(address)
            } catch {
                failure = failure ?? error
            }
        }
        guard let first = rest.first else { return loop.makeFailedFuture(failure ?? NameFailure.notFound) }
        let bootstrap = bootstrap(attempts, isChecked: false)
        let connection =
            rest.count == 1
            ? bootstrap.connect(to: first)
            : bootstrap.resolver(KnownAddresses(rest, on: loop)).connect(host: "its addresses", port: Int(port))
        guard let failure else { return connection }
        return connection.flatMapErrorThrowing { _ in throw failure }
    }

    /// Connects to a host, wherever its name leads.
    private func connect(_ host: String, _ attempts: NIOLoopBound<ConnectAttempts>) -> EventLoopFuture<any Channel> {
        bootstrap(attempts, isChecked: true)
            .resolver(HostResolver(names, for: .service, on: loop))
            .connect(host: host, port: Int(port))
    }

    /// - Parameter isChecked: whether addresses at which no service is are refused.
    private func bootstrap(_ attempts: NIOLoopBound<ConnectAttempts>, isChecked: Bool) -> ClientBootstrap {
        ClientBootstrap(group: loop)
            .connectTimeout(timeout)
            .channelInitializer { [onSocket] channel in
                channel.eventLoop.makeCompletedFuture {
                    onSocket.value(channel)
                    try SocketOptions.service(channel)
                    if isChecked { try channel.pipeline.syncOperations.addHandler(ServiceAddressGuard()) }
                    attempts.value.begun(channel)
                }
            }
    }
}

/// Addresses that need no lookup, as NIO asks for those of a host.
private struct KnownAddresses: Resolver {
    private let addresses: [SocketAddress]
    private let loop: any EventLoop

    init(_ addresses: [SocketAddress], on loop: any EventLoop) {
        self.addresses = addresses
        self.loop = loop
    }

    func initiateAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> {
        loop.makeSucceededFuture(addresses.filter { $0.protocol == .inet })
    }

    func initiateAAAAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> {
        loop.makeSucceededFuture(addresses.filter { $0.protocol == .inet6 })
    }

    func cancelQueries() {}
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
