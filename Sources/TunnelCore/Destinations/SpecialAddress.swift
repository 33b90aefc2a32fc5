import NetworkAddress

extension IPAddress {
    /// 0.0.0.0/8 or ::, which lead to the machine itself.
    package var isUnspecified: Bool {
        switch unmapped {
        case .v4(let bits): bits >> 24 == 0
        case .v6(let bits): bits == 0
        }
    }

    /// Whether no rule by block or name leads to the address: loopback, unspecified, link-local, multicast, broadcast, a
    /// cloud's metadata, or an address that a translator on the way turns into one of these.
    package var needsOwnRule: Bool {
        isLoopback || !mayBeService || embeddedIPv4.contains { $0.isLoopback || !$0.mayBeService }
    }
}
