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

    private let serverHost: String
    private var sockets: Set<Socket> = []
    /// The public ports of the tunnels.
    private var ports: [UInt16: UInt16] = [:]
    /// Tunnels that lead to their own public ports.
    private var tunnels: Set<UInt16> = []

    /// - Parameter serverHost: the host of the server's URL.
    init(serverHost: String) {
        self.serverHost = serverHost.lowercased()
    }

    /// Records that a channel leads to a service, until it closes.
    func joined(_ channel: any Channel) {
        guard let local = channel.localAddress?.inShortUnmapped,
            let port = channel.remoteAddress?.port.flatMap({ UInt16(exactly: $0) })
        else { return }
        let socket = Socket(local: local, port: port)
        guard join(socket) else { return }
        channel.closeFuture.assumeIsolated().whenComplete { _ in self.sockets.remove(socket) }
    }

    /// Records that a socket leads to a service.
    ///
    /// - Returns: false if an equal one was recorded before.
    func join(_ socket: Socket) -> Bool { sockets.insert(socket).inserted }

    /// Records that a tunnel is public.
    func bound(_ binding: Binding, to spec: TunnelSpec) {
        ports[binding.tunnel] = binding.port
        let isOwn = spec.host.lowercased() == serverHost && spec.hostPort == binding.port
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
        return ports[visit.tunnel].map { sockets.contains(Socket(local: visit.visitor, port: $0)) } ?? false
    }
}
