import Synchronization
import TunnelCore

/// The destinations that visitors of SOCKS tunnels may reach from this client, which may change while it runs.
final class OpenRules: Sendable {
    private let rules: Mutex<[DestinationRule]>
    private let admin: ListenAddress?

    /// - Parameter admin: the client's own admin address.
    init(_ rules: [DestinationRule], admin: ListenAddress?) {
        self.rules = Mutex(rules)
        self.admin = admin
    }

    func update(_ rules: [DestinationRule]) {
        self.rules.withLock { $0 = rules }
    }

    /// The rules, with the places of this process.
    var policy: DestinationPolicy {
        var own = DestinationPolicy.Own()
        switch admin {
        case .tcp(_, let port)?: own = .init(ports: [port], addresses: MachineAddresses.current)
        case .unix(let path)?: own = .init(paths: [path])
        case nil: break
        }
        return DestinationPolicy(rules.withLock { $0 }, own: own)
    }
}
