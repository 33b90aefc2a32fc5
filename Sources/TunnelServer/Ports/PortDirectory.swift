import Mux
import Synchronization
import TunnelCore

/// The sessions that hold the server's public ports and Unix sockets. Event loops share it and ask it for each claim and release.
final class PortDirectory: Sendable {
    /// The result of a claim.
    enum Outcome {
        /// The session holds the port until ``release(_:_:)``.
        case granted
        /// Another session of the same process holds the port. Its connection may be dead without its knowledge.
        case heldBySame(any PortHolder)
        /// Another process holds the port.
        case heldByOther(name: String, seconds: Int)
        /// The port is reserved for a session that has lost its carrier and may return.
        case kept(name: String, secondsLeft: Int)
    }

    /// The group that holds a place, without its stickiness: all members have the same.
    struct Group: Hashable {
        let name: String
        let proof: [UInt8]

        init?(_ request: RequestedGroup?) {
            guard let request else { return nil }
            (name, proof) = (request.name, request.proof)
        }
    }

    private struct Claim {
        let group: Group?
        /// One, or the members of the group.
        var shares: [Share]

        struct Share {
            let holder: any PortHolder
            let since: Instant
            var count: Int
        }

        func index(of holder: any PortHolder) -> Int? { shares.firstIndex { $0.holder === holder } }
    }

    private struct Claims {
        var byPlace: [PublicPlace: Claim] = [:]
        /// The places under each host name.
        var places: [String: Set<PublicPlace>] = [:]

        /// The session of another client that has a place under the same host name. A name is one client's, or a group's.
        func otherOwner(of place: PublicPlace, _ client: [UInt8], _ group: Group?) -> Claim.Share? {
            guard case .name(let name) = place else { return nil }
            for other in places[name.name] ?? [] {
                guard let claim = byPlace[other], group == nil || claim.group != group else { continue }
                if let share = claim.shares.first(where: { $0.holder.owner.client != client }) { return share }
            }
            return nil
        }

        mutating func remove(_ place: PublicPlace) {
            byPlace[place] = nil
            guard case .name(let name) = place else { return }
            places[name.name]?.remove(place)
            if places[name.name]?.isEmpty == true { places[name.name] = nil }
        }
    }

    private let claims = Mutex(Claims())
    /// The number of ports that each client holds.
    private let countsByClient = Mutex<[[UInt8]: Int]>([:])
    /// Ports on which the server itself listens, each with its use.
    private let ownPorts = Mutex<[UInt16: String]>([:])

    /// Sockets in the file system on which the server itself listens.
    private let ownPaths = Mutex<Set<String>>([])

    /// Notes a socket of the server itself in the file system.
    func note(ownPath path: String) {
        _ = ownPaths.withLock { $0.insert(path) }
    }

    /// Whether the server itself listens at a path.
    func isOwn(path: String) -> Bool { ownPaths.withLock { $0.contains(path) } }

    /// The places of this process that a destination may meet: its port if the process listens there, and all paths.
    func ownPlaces(at port: UInt16?) -> DestinationPolicy.Own {
        var places = DestinationPolicy.Own(paths: ownPaths.withLock { $0 })
        let isClaimed = claims.withLock { claims in
            for case .path(let path) in claims.byPlace.keys { places.paths.insert(path) }
            guard let port else { return false }
            return claims.byPlace[.port(port)] != nil || claims.byPlace[.udp(port)] != nil
        }
        if let port, use(ofOwn: port) != nil || isClaimed {
            places.ports = [port]
            places.addresses = MachineAddresses.current
        }
        return places
    }

    /// Notes a port of the server itself, so that a refusal can name its use.
    func note(own port: UInt16, use: String) {
        ownPorts.withLock { $0[port] = use }
    }

    /// The server's own use of a port; nil if it has none.
    func use(ofOwn port: UInt16) -> String? { ownPorts.withLock { $0[port] } }

    /// The process that holds a place, or one of a group that does; nil if none does.
    func holder(of place: PublicPlace) -> PortOwner? {
        claims.withLock { $0.byPlace[place]?.shares.first?.holder.owner }
    }

    /// The number of claims that a session has on a place.
    func claims(_ place: PublicPlace, of holder: any PortHolder) -> Int {
        claims.withLock { claims in
            guard let held = claims.byPlace[place], let index = held.index(of: holder) else { return 0 }
            return held.shares[index].count
        }
    }

    /// The number of ports that a client holds, and the number that all clients hold.
    func count(of client: [UInt8]) -> (own: Int, all: Int) {
        let all = claims.withLock(\.byPlace.count)
        return (countsByClient.withLock { $0[client, default: 0] }, all)
    }

    private func change(_ client: [UInt8], by change: Int) {
        countsByClient.withLock { counts in
            let count = counts[client, default: 0] + change
            counts[client] = count > 0 ? count : nil
        }
    }

    /// Claims a place for a session.
    ///
    /// A session may claim the same port several times, once for each of its addresses, and a name once. Members of one
    /// group share a place.
    func claim(
        _ place: PublicPlace,
        for holder: any PortHolder,
        group: Group? = nil,
        now: Instant
    ) -> Outcome {
        claims.withLock { claims in
            if let other = claims.otherOwner(of: place, holder.owner.client, group) { return Self.held(other, now) }
            let share = Claim.Share(holder: holder, since: now, count: 1)
            guard let held = claims.byPlace[place] else {
                claims.byPlace[place] = Claim(group: group, shares: [share])
                if case .name(let name) = place { claims.places[name.name, default: []].insert(place) }
                change(holder.owner.client, by: 1)
                return .granted
            }
            if let index = held.index(of: holder) {
                if case .name = place { return Self.held(held.shares[index], now) }
                claims.byPlace[place]?.shares[index].count += 1
                return .granted
            }
            if let old = held.shares.first(where: { $0.holder.owner == holder.owner }) {
                return .heldBySame(old.holder)
            }
            if let group, held.group == group {
                claims.byPlace[place]?.shares.append(share)
                change(holder.owner.client, by: 1)
                return .granted
            }
            return Self.held(held.shares[0], now)
        }
    }

    private static func held(_ share: Claim.Share, _ now: Instant) -> Outcome {
        if let until = share.holder.waitsUntil {
            let (seconds, _) = until.since(now).components
            return .kept(name: share.holder.name, secondsLeft: Int(clamping: seconds + 1))
        }
        let (seconds, _) = now.since(share.since).components
        return .heldByOther(name: share.holder.name, seconds: Int(clamping: seconds))
    }

    /// Releases one claim. A session that no longer holds the port changes nothing.
    func release(_ place: PublicPlace, _ holder: any PortHolder) {
        claims.withLock { claims in
            guard var held = claims.byPlace[place], let index = held.index(of: holder) else { return }
            held.shares[index].count -= 1
            if held.shares[index].count <= 0 {
                held.shares.remove(at: index)
                change(holder.owner.client, by: -1)
            }
            if held.shares.isEmpty { claims.remove(place) } else { claims.byPlace[place] = held }
        }
    }
}
