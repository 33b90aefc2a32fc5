import NIOCore
import NetworkAddress
import TunnelCore

/// A failed hop of a dial, before it is put into words.
///
/// Each hop has a type of its own, which finds the words, one remedy, and the consequence for the client's run.
enum DialFailure: Sendable {
    /// The name lookup or the TCP connection.
    case connect(ConnectFailure)
    /// CONNECT or SOCKS.
    case proxy(ProxyFailure)
    /// A TLS handshake with this peer.
    case tls(TLSPeer, TLSHandshakeFailure)
    /// The WebSocket handshake.
    case upgrade(UpgradeFailure)
    /// Authentication.
    case session(SessionFailure)
}

extension DialRoute {
    /// Puts a failure into words.
    ///
    /// A proxy that has taken the password before is forgotten if it now gives no answer to it.
    func error(_ failure: DialFailure) -> DialError {
        switch failure {
        case .connect(let failure): failure.error(on: self)
        case .proxy(let failure): failure.error(on: self, mayLockAccount: failure.isPasswordAtStake && !forgetsTrust())
        case .tls(let peer, let failure): failure.error(on: self, peer)
        case .upgrade(let failure): failure.error(on: self)
        case .session(let failure): failure.error(on: self)
        }
    }

    /// Whether the password had been taken by this proxy, so that its silence has another cause. Only once, since the
    /// password may have been changed meanwhile.
    private func forgetsTrust() -> Bool {
        proxy.map { context.memory.forget($0) } ?? false
    }

    /// An error of this route, about the address that is connected, if there is one.
    func error(
        _ hop: DialError.Hop,
        _ answer: String,
        _ remedy: String,
        _ disposition: DialError.Disposition
    ) -> DialError {
        error(hop, answer, remedy, disposition, at: rotation.connected.map { [$0] } ?? [])
    }

    /// An error of this route.
    ///
    /// - Parameter addresses: the addresses of the dialled name that the error is about.
    func error(
        _ hop: DialError.Hop,
        _ answer: String,
        _ remedy: String,
        _ disposition: DialError.Disposition,
        at addresses: [SocketAddress]
    ) -> DialError {
        let place = place(addresses)
        var endpoint = endpoint.description
        if let elsewhere = configuration.connectTo {
            endpoint += " at \(elsewhere)" + (proxy == nil ? place.map { " (\($0))" } ?? "" : "")
        } else if proxy == nil, let place {
            endpoint += " at \(place)"
        }
        return DialError(
            hop: hop,
            endpoint: endpoint,
            proxy: proxy.map { $0.redacted + (place.map { " at \($0)" } ?? "") },
            answer: answer,
            remedy: remedy,
            disposition: disposition
        )
    }

    /// The addresses to which a name led; nil if an address was dialled.
    private func place(_ addresses: [SocketAddress]) -> String? {
        guard IPAddress(dialled.host) == nil, !addresses.isEmpty else { return nil }
        let shown = addresses.prefix(Self.shownAddresses).map(\.inShort).joined(separator: ", ")
        return addresses.count > Self.shownAddresses ? "\(shown), ..." : shown
    }

    /// Addresses in one line of an error.
    private static let shownAddresses = 3

    /// The remedy if the connection ends right after the proxy has opened the tunnel.
    var remedyAfterConnect: String {
        proxy == nil
            ? "check that the server runs"
            : "the proxy opened the tunnel, and then something cut it: check that the server runs, and ask the proxy's "
                + "administrators whether they cut connections to \(endpoint.host)"
    }

    /// The values of our own fields, which must not show if a peer echoes them.
    var secrets: [String] { configuration.fields.secrets + configuration.proxyFields.secrets }
}
