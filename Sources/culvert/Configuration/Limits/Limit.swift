import Tunnel

/// One row of the table of limits: what is bounded, its default, its range, and the reason.
///
/// The default is read from the property or the constant that the code uses, so that neither can differ from its row.
struct Limit: Sendable {
    /// What is bounded.
    let name: String
    /// Its key in the table `[limits]` of a configuration; nil for a bound that no configuration moves.
    let key: LimitKey?
    /// The default.
    let value: LimitValue
    /// Why the bound is what it is: a clause that an error ends with, without a capital letter and a full stop.
    let reason: String
    /// Whether the session protocol sets it for both ends.
    let isWire: Bool

    /// A bound without a key.
    init(_ fixed: FixedLimit) {
        name = fixed.name
        key = nil
        value = fixed.value
        reason = fixed.reason
        isWire = fixed.isWire
    }

    private init(_ name: String, _ key: LimitKey, _ value: LimitValue, _ reason: String) {
        self.name = name
        self.key = key
        self.value = value
        self.reason = reason
        isWire = false
    }

    /// A key that only a server has.
    static func server(
        _ key: String,
        _ bound: LimitBound<ServerConfiguration>,
        _ name: String,
        _ reason: String
    ) -> Limit {
        let key = LimitKey(name: key, range: bound.range, server: bound, client: nil)
        return Limit(name, key, bound.read(ServerConfiguration()), reason)
    }

    /// A key that only a client has.
    static func client(
        _ key: String,
        _ bound: LimitBound<ClientConfiguration>,
        _ name: String,
        _ reason: String
    ) -> Limit {
        let key = LimitKey(name: key, range: bound.range, server: nil, client: bound)
        let defaults = ClientConfiguration(endpoints: [], tunnels: [], token: nil, instance: [])
        return Limit(name, key, bound.read(defaults), reason)
    }

    /// A key that both roles have.
    static func both(_ key: String, _ bound: LimitBound<SharedLimits>, _ name: String, _ reason: String) -> Limit {
        let key = LimitKey(
            name: key,
            range: bound.range,
            server: bound.part(of: \.shared),
            client: bound.part(of: \.shared)
        )
        return Limit(name, key, bound.read(ServerConfiguration().shared), reason)
    }
}

/// The key of a limit, and what it moves in each role's configuration.
struct LimitKey: Sendable {
    let name: String
    let range: ClosedRange<LimitValue>
    /// Nil for a key that a server does not have.
    let server: LimitBound<ServerConfiguration>?
    /// Nil for a key that a client does not have.
    let client: LimitBound<ClientConfiguration>?
}
