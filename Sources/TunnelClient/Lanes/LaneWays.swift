import Mux
import NIOCore
import ProxyConnect
import TunnelCore

/// The ways that the carriers of further lanes take.
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

    /// The way of a lane: the first carrier's own, or one proxy of the list after the other.
    ///
    /// - Parameter proxies: the proxies for the server, in the configured order.
    /// - Returns: the way, and the address to connect to if the name still has it; nil for any.
    func way(of lane: LaneID, _ proxies: [ProxyChoice]) -> (way: DialWay, address: SocketAddress?) {
        guard spread == .spread, proxies.count > 1 else {
            // Another address of the name may be another server, unless the configuration says otherwise.
            return (first.way, spread == .spread ? nil : first.address)
        }
        let start = proxies.firstIndex(of: first.way.choice) ?? 0
        let index = (start + Int(lane.rawValue % UInt32(proxies.count))) % proxies.count
        return (DialWay(endpoint: first.way.endpoint, choice: proxies[index]), nil)
    }
}
