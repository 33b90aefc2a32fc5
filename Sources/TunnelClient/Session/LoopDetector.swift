import Mux
import NIOCore

/// Recognises tunnels that lead to a public port of their own session. Each visitor of such a tunnel would become another
/// visitor, until all streams are used.
///
/// A visitor comes from a socket to a service if it has that socket's address, and if that socket leads to the visitor's
/// public port. The port matters, since the kernel gives one local port to several sockets that lead to
/// different places.
///
/// If addresses are translated on the way, the name of the service decides: it is the server's, and its port is the public
/// one.
final class LoopDetector {
    /// A socket that leads to a service.
    struct Socket: Hashable {
        /// Its own address.
        let local: String
        /// The port to which it leads.
        let port: UInt16
    }

    /// The sockets that lead to services. Sessions of one client share them, since a visitor of one may be a socket of
    /// another.
    final class Sockets {
        fileprivate var all: Set<Socket> = []
    }

    private let serverHost: String
    private let sockets: Sockets
    /// The public ports of the tunnels.
    private var ports: [UInt16: UInt16] = [:]
    /// Tunnels that lead to their own public ports.
    private var tunnels: Set<UInt16> = []

    /// - Parameters:
    ///   - serverHost: the host of the server's URL.
    ///   - sockets: those of all sessions of the client.
    init(serverHost: String, sockets: Sockets = Sockets()) {
        self.serverHost = serverHost.lowercased()
        self.sockets = sockets
    }

    /// Records that a channel leads to a service, until it closes.
    func joined(_ channel: any Channel) {
        guard let local = channel.localAddress?.inShortUnmapped,
            let port = channel.remoteAddress?.port.flatMap({ UInt16(exactly: $0) })
        else { return }
        let socket = Socket(local: local, port: port)
        guard join(socket) else { return }
        channel.closeFuture.assumeIsolated().whenComplete { _ in self.sockets.all.remove(socket) }
    }

    /// Records that a socket leads to a service.
    ///
    /// - Returns: false if an equal one was recorded before.
    func join(_ socket: Socket) -> Bool { sockets.all.insert(socket).inserted }

    /// Records that a tunnel is public.
    func bound(_ binding: Binding, to spec: TunnelSpec) {
        ports[binding.tunnel] = binding.port
        let isOwn =
            if case .address(let host, let port) = spec.target {
                host.lowercased() == serverHost && port == binding.port
            } else {
                false
            }
        // A port on loopback is another machine's, unless the server runs on this one.
        if isOwn, !binding.address.hasPrefix("127.") || serverHost.hasPrefix("127.") || serverHost == "localhost" {
            tunnels.insert(binding.tunnel)
        } else {
            tunnels.remove(binding.tunnel)
        }
    }

    /// Whether a visitor is one of our own sockets, or would become one.
    func isLoop(_ visit: OpenRequest) -> Bool {
        if tunnels.contains(visit.tunnel) { return true }
        return ports[visit.tunnel].map { sockets.all.contains(Socket(local: visit.visitor, port: $0)) } ?? false
    }
}
