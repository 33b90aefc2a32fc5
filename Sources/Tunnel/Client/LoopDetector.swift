import Mux
import NIOCore

/// Recognises tunnels that lead to a public port of their own session: each visitor of such a tunnel becomes another one,
/// until all streams are used.
///
/// A visitor comes from the socket of a service if it has that socket's address. On loopback the socket's other end must
/// be the public port too: the kernel gives one port to several sockets that lead to different places. Where addresses are translated on the
/// way, the service's name tells: it is the server's, and its port is the public one.
final class LoopDetector {
    private let serverHost: String
    /// A socket that leads to a service.
    struct Socket: Hashable {
        let local: String
        /// Where it leads, on loopback.
        var loopbackPort: UInt16?
    }

    private var sockets: Set<Socket> = []
    /// The public ports.
    private var ports: [UInt16: UInt16] = [:]
    /// Tunnels whose services are their own public ports.
    private var tunnels: Set<UInt16> = []

    /// - Parameter serverHost: the host of the server's URL.
    init(serverHost: String) {
        self.serverHost = serverHost.lowercased()
    }

    /// A socket leads to a service, until it closes.
    func joined(_ channel: any Channel) {
        guard let local = channel.localAddress, let remote = channel.remoteAddress else { return }
        let socket = Self.socket(local, to: remote)
        guard sockets.insert(socket).inserted else { return }
        channel.closeFuture.assumeIsolated().whenComplete { _ in self.sockets.remove(socket) }
    }

    private static func socket(_ local: SocketAddress, to remote: SocketAddress) -> Socket {
        let port = remote.ip?.isLoopback == true ? remote.port.flatMap { UInt16(exactly: $0) } : nil
        return Socket(local: local.inShort, loopbackPort: port)
    }

    /// Whether a visitor of a public port comes from one of these sockets.
    static func isLoop(_ visitor: String, at port: UInt16?, of sockets: Set<Socket>) -> Bool {
        sockets.contains(Socket(local: visitor, loopbackPort: nil))
            || port.map { sockets.contains(Socket(local: visitor, loopbackPort: $0)) } ?? false
    }

    /// A tunnel is public.
    func bound(_ binding: Binding, to forward: RemoteForward) {
        ports[binding.tunnel] = binding.port
        let isOwn = forward.host.lowercased() == serverHost && forward.hostPort == binding.port
        // On loopback the port is another machine's, unless the server is on this one.
        if isOwn, !binding.address.hasPrefix("127.") || serverHost.hasPrefix("127.") || serverHost == "localhost" {
            tunnels.insert(binding.tunnel)
        } else {
            tunnels.remove(binding.tunnel)
        }
    }

    /// Whether a visitor is one of our own sockets, or would become one.
    func isLoop(_ visit: Visit) -> Bool {
        tunnels.contains(visit.tunnel) || Self.isLoop(visit.visitor, at: ports[visit.tunnel], of: sockets)
    }
}
