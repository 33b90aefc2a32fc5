import Logging
import NIOCore
import NIOPosix
import TunnelCore

/// The sockets on which visitors of host names reach the server.
struct RouterListeners {
    private let router: Router
    private let configuration: ServerConfiguration
    private let group: any EventLoopGroup
    private let logger: Logger

    init(_ router: Router, on group: any EventLoopGroup, logger: Logger) {
        (self.router, self.group, self.logger) = (router, group, logger)
        configuration = router.core.configuration
    }

    /// Listens on all addresses, or on none, and notes the ports for the URLs of names.
    ///
    /// - Parameter onListening: called for each socket, with its URL.
    /// - Throws: ``ServerError``.
    func listen(_ onListening: (_ url: String, _ port: Int?) -> Void) async throws -> [any Channel] {
        var channels: [any Channel] = []
        var ports = RouterPorts()
        do {
            for address in configuration.httpListen {
                let channel = try await listen(on: address, isSecure: false)
                channels.append(channel)
                if ports.http == nil { ports.http = channel.localAddress?.port.map { UInt16($0) } }
                announce(channel, address, "http", onListening)
            }
            for address in configuration.httpsListen {
                let channel = try await listen(on: address, isSecure: true)
                channels.append(channel)
                if ports.https == nil { ports.https = channel.localAddress?.port.map { UInt16($0) } }
                announce(channel, address, "https", onListening)
            }
        } catch {
            for channel in channels { try? await channel.close() }
            throw error
        }
        router.core.resources.routes.ports = ports
        return channels
    }

    private func announce(
        _ channel: any Channel,
        _ address: ListenAddress,
        _ scheme: String,
        _ onListening: (_ url: String, _ port: Int?) -> Void
    ) {
        let text = address.isUnix ? "\(address)" : channel.localAddress?.inShort ?? "\(address)"
        logger.notice("listening for names", metadata: ["address": "\(text)", "scheme": "\(scheme)"])
        onListening(address.isUnix ? text : "\(scheme)://\(text)", channel.localAddress?.port)
        guard address.isShared(with: configuration.listen) else { return }
        let endpoint = scheme == "https" ? "wss" : "ws"
        onListening((address.isUnix ? text : "\(endpoint)://\(text)") + configuration.path, channel.localAddress?.port)
    }

    private func listen(on address: ListenAddress, isSecure: Bool) async throws -> any Channel {
        let bootstrap = bootstrap(isSecure: isSecure)
        do {
            switch address {
            case .tcp(let host, let port):
                let tcp = bootstrap.serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                return try await tcp.bind(host: host == "localhost" ? "127.0.0.1" : host, port: Int(port)).get()
            case .unix(let path):
                do {
                    try await UnixListener.makeWay(at: path, on: group.next()).get()
                } catch let failure as UnixListener.Failure {
                    throw ServerError.bind(address, reason: failure.description)
                }
                let length = configuration.serverLimits.publicListenQueue
                let backlog = Int32(clamping: length)
                let descriptor = try UnixListener.open(path, configuration.listenAccess, backlog: backlog)
                let channel = try await bootstrap.withBoundSocket(descriptor).get()
                SocketOptions.setListenQueue(length, of: descriptor)
                return channel
            }
        } catch {
            if let error = error as? ServerError { throw error }
            throw ServerError.bind(address, reason: address.bindFailureReason(error))
        }
    }

    private func bootstrap(isSecure: Bool) -> ServerBootstrap {
        ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: Int32(clamping: configuration.serverLimits.publicListenQueue))
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try SocketOptions.publicPort(channel)
                    try channel.pipeline.syncOperations.addHandler(AcceptGate())
                }
            }
            .childChannelInitializer { [router] channel in
                channel.eventLoop.makeCompletedFuture { try router.prepare(channel, isSecure: isSecure) }
            }
    }
}
