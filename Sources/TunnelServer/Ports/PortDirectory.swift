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

    private struct Claim {
        let holder: any PortHolder
        let since: Instant
        var count: Int
    }

    private let claims = Mutex<[PublicPlace: Claim]>([:])
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
            for case .path(let path) in claims.keys { places.paths.insert(path) }
            guard let port else { return false }
            return claims[.port(port)] != nil || claims[.udp(port)] != nil
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

    /// The process that holds a place; nil if none does.
    func holder(of place: PublicPlace) -> PortOwner? { claims.withLock { $0[place]?.holder.owner } }

    /// The number of claims that a session has on a place.
    func claims(_ place: PublicPlace, of holder: any PortHolder) -> Int {
        claims.withLock { claims in
            guard let held = claims[place], held.holder === holder else { return 0 }
            return held.count
        }
    }

    /// The number of ports that a client holds, and the number that all clients hold.
    func count(of client: [UInt8]) -> (own: Int, all: Int) {
        let all = claims.withLock(\.count)
        return (countsByClient.withLock { $0[client, default: 0] }, all)
    }

    private func change(_ client: [UInt8], by change: Int) {
        countsByClient.withLock { counts in
            let count = counts[client, default: 0] + change
            counts[client] = count > 0 ? count : nil
        }
    }

    /// Claims a place for a session. A session may claim the same port several times, once for each of its addresses.
    func claim(_ place: PublicPlace, for holder: any PortHolder, now: Instant) -> Outcome {
        claims.withLock { claims in
            guard let held = claims[place] else {
                claims[place] = Claim(holder: holder, since: now, count: 1)
                change(holder.owner.client, by: 1)
                return .granted
            }
            if held.holder === holder {
                claims[place]?.count += 1
                return .granted
            }
            if held.holder.owner == holder.owner { return .heldBySame(held.holder) }
            if let until = held.holder.waitsUntil {
                let (seconds, _) = until.since(now).components
                return .kept(name: held.holder.name, secondsLeft: Int(clamping: seconds + 1))
            }
            let (seconds, _) = now.since(held.since).components
            return .heldByOther(name: held.holder.name, seconds: Int(clamping: seconds))
        }
    }

    /// Releases one claim. A session that no longer holds the port changes nothing.
    func release(_ place: PublicPlace, _ holder: any PortHolder) {
        claims.withLock { claims in
            guard let held = claims[place], held.holder === holder else { return }
            claims[place]?.count -= 1
            guard held.count <= 1 else { return }
            claims[place] = nil
            change(holder.owner.client, by: -1)
        }
    }
}
