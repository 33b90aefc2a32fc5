import NetworkAddress

/// Decides which destinations a peer may name. Without rules it may name none.
///
/// A destination is judged in this order:
/// 1. A name is compared with the rules as it is written. If one matches, the name is looked up and connected to.
/// 2. Otherwise it is looked up, and each address is compared with the rules by block. Exactly these addresses are
///    connected to, without a second lookup.
/// 3. `localhost` is 127.0.0.1 and ::1, without a lookup. No other name leads to an address that needs its own rule.
///
/// An address needs its own rule, which writes that address and no block, if it is loopback, unspecified, link-local,
/// multicast, broadcast or a cloud's metadata, or if a translator on its way makes it one (IPv4-mapped, NAT64, 6to4,
/// Teredo, ISATAP). A place of this process (``own``), translated or not, needs a rule that writes the port too.
///
/// Pure: the caller looks names up, and asks ``Own`` where a path leads.
public struct DestinationPolicy: Sendable, Equatable {
    /// Places where this process listens.
    public struct Own: Sendable, Equatable {
        /// The ports on any address of this machine.
        public var ports: Set<UInt16>
        /// The addresses of this machine, besides loopback.
        public var addresses: Set<IPAddress>
        /// Paths of Unix sockets.
        public var paths: Set<String>

        /// Places of a process.
        public init(ports: Set<UInt16> = [], addresses: Set<IPAddress> = [], paths: Set<String> = []) {
            self.ports = ports
            self.addresses = addresses
            self.paths = paths
        }

        fileprivate func contains(_ address: IPAddress, _ port: UInt16) -> Bool {
            guard ports.contains(port) else { return false }
            // A translator on the way turns some addresses into an IPv4 address of this machine.
            return ([address] + address.embeddedIPv4).contains { address in
                address.isLoopback || addresses.contains(address) || address.isUnspecified
            }
        }
    }

    package enum Decision: Equatable {
        case denied
        /// Connect to the socket at this path.
        case path(String)
        /// Connect to one of these addresses.
        case addresses([IPAddress])
        /// Look the name up, and ask ``permitted(_:of:)`` about the addresses.
        case lookUp(Lookup)
    }

    /// A name that has to be looked up.
    package struct Lookup: Equatable {
        package let name: String
        package let port: UInt16
        fileprivate let transport: StreamTransport
        /// Whether the name as it is written is allowed.
        fileprivate let isAllowedByName: Bool
    }

    /// What may be named.
    public var rules: [DestinationRule]
    /// The places of this process, which need rules of their own.
    public var own: Own

    /// A policy; without rules nothing may be named.
    public init(_ rules: [DestinationRule] = [], own: Own = Own()) {
        self.rules = rules
        self.own = own
    }

    /// Judges a destination as far as that needs no lookup.
    package func decide(_ destination: Destination, _ transport: StreamTransport) -> Decision {
        switch destination {
        case .path(let path):
            return transport == .tcp && allows(path: path) ? .path(path) : .denied
        case .host(let target):
            guard !rules.isEmpty else { return .denied }
            if let literal = IPAddress(target.host) {
                let address = literal.unmapped
                return allows(address, target.port, transport, isWritten: true) ? .addresses([address]) : .denied
            }
            let name = DestinationRule.plainName(target.host)
            if name == "localhost" { return decideLocalhost(target.port, transport) }
            let isAllowed = rules.contains { $0.allows(target.port, transport) && $0.matches(name: name) }
            // Rules by name alone: no lookup is worth its thread.
            guard isAllowed || rules.contains(where: { $0.allows(target.port, transport) && $0.isByAddress }) else {
                return .denied
            }
            return .lookUp(
                Lookup(name: name, port: target.port, transport: transport, isAllowedByName: isAllowed)
            )
        }
    }

    /// The addresses of a name that may be connected to, in their order.
    package func permitted(_ addresses: [IPAddress], of lookup: Lookup) -> [IPAddress] {
        addresses.map(\.unmapped).filter { address in
            guard lookup.isAllowedByName else {
                return allows(address, lookup.port, lookup.transport, isWritten: false)
            }
            return !address.needsOwnRule && !own.contains(address, lookup.port)
        }
    }

    /// Whether a connection may go on that leads to a destination.
    ///
    /// - Parameter address: where it leads; nil if that is not known yet, or for a path.
    package func allows(_ destination: Destination, _ transport: StreamTransport, at address: IPAddress?) -> Bool {
        switch decide(destination, transport) {
        case .denied: false
        case .path: true
        case .addresses(let addresses): address.map { addresses.contains($0.unmapped) } ?? true
        case .lookUp(let lookup): address.map { !permitted([$0], of: lookup).isEmpty } ?? true
        }
    }

    private func decideLocalhost(_ port: UInt16, _ transport: StreamTransport) -> Decision {
        let isOwn = own.ports.contains(port)
        let byName = rules.contains { rule in
            rule.place == .name("localhost") && rule.allows(port, transport) && (!isOwn || rule.isOnly(port))
        }
        let both: [IPAddress] = [.v4(0x7F00_0001), .v6(1)]
        let allowed = byName ? both : both.filter { allows($0, port, transport, isWritten: true) }
        return allowed.isEmpty ? .denied : .addresses(allowed)
    }

    /// - Parameter isWritten: whether the destination is the address itself, and not a name that leads there.
    private func allows(
        _ address: IPAddress,
        _ port: UInt16,
        _ transport: StreamTransport,
        isWritten: Bool
    ) -> Bool {
        let rules = rules.filter { $0.allows(port, transport) }
        if own.contains(address, port) {
            guard isWritten else { return false }
            return rules.contains { ($0.isOnly(address) || $0.isLocalhost(address)) && $0.isOnly(port) }
        }
        if address.needsOwnRule {
            guard isWritten else { return false }
            return rules.contains { $0.isOnly(address) || $0.isLocalhost(address) }
        }
        return rules.contains { $0.matches(address) }
            // A translator's address is another way to an IPv4 address, which has to be allowed too.
            && address.embeddedIPv4.allSatisfy { embedded in rules.contains { $0.matches(embedded) } }
    }

    private func allows(path: String) -> Bool {
        let isOwn = own.paths.contains(path)
        return rules.contains { rule in
            switch rule.place {
            case .path(let own): own == path
            case .folder(let folder):
                !isOwn && path.hasPrefix(folder) && !path.dropFirst(folder.count).contains("/")
            case .name, .domain, .block, .anyHost: false
            }
        }
    }
}

extension DestinationRule {
    /// Whether the rule covers hosts by their addresses.
    fileprivate var isByAddress: Bool {
        switch place {
        case .block, .anyHost: true
        case .name, .domain, .path, .folder: false
        }
    }

    /// Whether the rule is for `localhost` and the address is one of its two.
    fileprivate func isLocalhost(_ address: IPAddress) -> Bool {
        place == .name("localhost") && (address == .v4(0x7F00_0001) || address == .v6(1))
    }
}
