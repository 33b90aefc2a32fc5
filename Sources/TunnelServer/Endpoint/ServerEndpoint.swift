import Logging
import NIOCore
import NIOPosix
import TunnelCore

/// The sockets on which clients reach the server.
struct ServerEndpoint {
    private let core: ServerCore
    /// The configuration of the start: addresses and their queues do not change with a reload.
    private let configuration: ServerConfiguration
    private let group: any EventLoopGroup
    private let logger: Logger
    private let onListening: (_ url: String, _ port: Int?) -> Void

    /// - Parameter onListening: called for each socket, with the URL that clients on this machine dial.
    init(
        _ core: ServerCore,
        on group: any EventLoopGroup,
        logger: Logger,
        onListening: @escaping (_ url: String, _ port: Int?) -> Void
    ) {
        self.core = core
        configuration = core.configuration
        self.group = group
        self.logger = logger
        self.onListening = onListening
    }

    /// Listens on all addresses, or on none.
    ///
    /// - Throws: ``ServerError``.
    func listen() async throws -> [any Channel] {
        var channels: [any Channel] = []
        do {
            if configuration.openSockets.isEmpty {
                for address in configuration.ownListen { channels.append(try await listen(on: address)) }
            } else {
                for descriptor in configuration.openSockets { channels.append(try await listen(on: descriptor)) }
            }
            return channels
        } catch {
            for channel in channels { try? await channel.close() }
            throw error
        }
    }

    private func listen(on descriptor: Int32) async throws -> any Channel {
        do {
            let channel = try await bootstrap.withBoundSocket(descriptor).get()
            // NIO calls listen with its own length on a socket that it did not bind, before it reads the option.
            SocketOptions.setListenQueue(configuration.serverLimits.listenQueue, of: descriptor)
            announce(channel, channel.localAddress?.inShort ?? "socket \(descriptor)", isUnix: false)
            return channel
        } catch {
            throw ServerError.socket(descriptor, reason: ListenAddress.bindFailureReason(error))
        }
    }

    private func listen(on address: ListenAddress) async throws -> any Channel {
        do {
            let channel = try await bind(address)
            let text = address.isUnix ? "\(address)" : channel.localAddress?.inShort ?? "\(address)"
            announce(channel, text, isUnix: address.isUnix)
            return channel
        } catch {
            if let error = error as? ServerError { throw error }
            throw ServerError.bind(address, reason: address.bindFailureReason(error))
        }
    }

    private func bind(_ address: ListenAddress) async throws -> any Channel {
        switch address {
        case .tcp(let host, let port):
            let tcp = bootstrap.serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            return try await tcp.bind(host: host == "localhost" ? "127.0.0.1" : host, port: Int(port)).get()
        case .unix(let path):
            // The socket file may be left over, or belong to a server that runs: one that answers keeps it.
            do {
                try await UnixListener.makeWay(at: path, on: group.next()).get()
            } catch let failure as UnixListener.Failure {
                throw ServerError.bind(address, reason: failure.description)
            }
            let length = configuration.serverLimits.listenQueue
            let descriptor = try UnixListener.open(
                path,
                configuration.listenAccess,
                backlog: Int32(clamping: length)
            )
            let channel = try await bootstrap.withBoundSocket(descriptor).get()
            SocketOptions.setListenQueue(length, of: descriptor)
            return channel
        }
    }

    private var bootstrap: ServerBootstrap {
        ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: Int32(clamping: configuration.serverLimits.listenQueue))
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(AcceptGate())
                }
            }
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { [core] channel in
                channel.eventLoop.makeCompletedFuture { try core.prepare(channel) }
            }
    }

    // MARK: Announcements

    private func announce(_ channel: any Channel, _ address: String, isUnix: Bool) {
        let scheme = configuration.tls == nil ? "ws" : "wss"
        let url = isUnix ? address : "\(scheme)://\(address)"
        logger.notice("listening", metadata: ["address": "\(address)", "version": "\(culvertVersion)"])
        if isUnix || channel.localAddress?.ip?.isLoopback == true { warnOfUnnamedFront(at: channel.localAddress) }
        onListening(url + configuration.path, channel.localAddress?.port)
    }

    /// Logs that clients behind a front on this machine share one limit, unless the front is named.
    private func warnOfUnnamedFront(at address: SocketAddress?) {
        let isNamed = configuration.trustedFronts.contains(address)
        // Without a token no client comes from outside.
        guard !isNamed, !configuration.clients.isEmpty else { return }
        logger.notice(
            "clients behind a front on this machine share one limit; name the front to tell them apart",
            metadata: ["flag": "--trusted-front \(address?.ip.map { "\($0)" } ?? "unix")"]
        )
    }
}
