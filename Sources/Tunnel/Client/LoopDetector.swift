import Mux
import NIOCore

/// Recognises tunnels that lead to a public port of their own session: each visitor of such a tunnel becomes another one,
/// until all streams are used.
///
/// A visitor comes from the socket of a service if it has that socket's address. Where addresses are translated on the
/// way, the service's name tells: it is the server's, and its port is the public one.
final class LoopDetector {
    private let serverHost: String
    /// The local addresses of sockets that lead to services.
    private var sockets: Set<String> = []
    /// Tunnels whose services are their own public ports.
    private var tunnels: Set<UInt16> = []

    /// - Parameter serverHost: the host of the server's URL.
    init(serverHost: String) {
        self.serverHost = serverHost.lowercased()
    }

    /// A socket leads to a service, until it closes.
    func joined(_ channel: any Channel) {
        guard let address = channel.localAddress?.inShortUnmapped, sockets.insert(address).inserted else { return }
        channel.closeFuture.assumeIsolated().whenComplete { _ in self.sockets.remove(address) }
    }

    /// A tunnel is public.
    func bound(_ binding: Binding, to forward: RemoteForward) {
        let isOwn = forward.host.lowercased() == serverHost && forward.hostPort == binding.port
        // On loopback the port is another machine's, unless the server is on this one.
        if isOwn, !binding.address.hasPrefix("127.") || serverHost.hasPrefix("127.") || serverHost == "localhost" {
            tunnels.insert(binding.tunnel)
        } else {
            tunnels.remove(binding.tunnel)
        }
    }

    /// Whether a visitor is one of our own sockets, or would become one.
    func isLoop(_ visit: Visit) -> Bool { tunnels.contains(visit.tunnel) || sockets.contains(visit.visitor) }
}
