import Mux
import NIOCore
import ProxyConnect
import TunnelCore

/// Chooses the proxy and the address for the carrier of each further lane.
struct LaneWays: Sendable {
    private let spread: CarrierSpread
    /// The way of the session's first carrier, and the address that it is connected to.
    private let first: (way: DialWay, address: SocketAddress?)

    init(_ spread: CarrierSpread, _ way: DialWay, at address: SocketAddress?) {
        self.spread = spread
        first = (way, address)
    }

    /// The server, which all lanes have in common.
    var endpoint: EndpointURL { first.way.endpoint }

    /// Returns the way of a lane: that of the first carrier, or the proxies of the list and the addresses in turn.
    ///
    /// - Parameter proxies: the proxies for the server, in the configured order.
    /// - Returns: the way, and which of several addresses it takes.
    func way(of lane: LaneID, _ proxies: [ProxyChoice]) -> (way: DialWay, addresses: AddressRotation.Preference) {
        // Another address of the name may be another server, unless the configuration says otherwise.
        guard spread == .spread else { return (first.way, first.address.map { .address($0) } ?? .none) }
        let place = Int(clamping: lane.rawValue)
        guard proxies.count > 1, let start = proxies.firstIndex(of: first.way.choice) else {
            return (first.way, .place(place))
        }
        let choice = proxies[(start + place) % proxies.count]
        return (DialWay(endpoint: endpoint, choice: choice), .place(place / proxies.count))
    }
}
