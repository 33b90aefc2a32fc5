import Synchronization
import TunnelCore

/// The destinations that visitors of SOCKS tunnels may reach from this client, which may change while it runs.
final class OpenRules: Sendable {
    private let rules: Mutex<[DestinationRule]>
    private let admin: [ListenAddress]

    /// - Parameter admin: the client's own admin addresses.
    init(_ rules: [DestinationRule], admin: [ListenAddress]) {
        self.rules = Mutex(rules)
        self.admin = admin
    }

    func update(_ rules: [DestinationRule]) {
        self.rules.withLock { $0 = rules }
    }

    /// The rules, with the places of this process.
    ///
    /// - Parameter forwards: the places of its forwards.
    func policy(beside forwards: DestinationPolicy.Own) -> DestinationPolicy {
        var own = forwards
        for address in admin {
            switch address {
            case .tcp(_, let port): own.ports.insert(port)
            case .unix(let path): own.paths.insert(path)
            }
        }
        if !own.ports.isEmpty { own.addresses = MachineAddresses.current }
        return DestinationPolicy(rules.withLock { $0 }, own: own)
    }
}
