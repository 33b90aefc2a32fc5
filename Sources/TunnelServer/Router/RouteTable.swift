import HTTPRelay
import Mux
import NIOCore
import NetworkAddress
import Synchronization
import TunnelCore

/// A place under a host name: the name, what is done with its visitors, and the beginning of the paths that lead there.
struct NamePlace: Sendable, Hashable, CustomStringConvertible {
    let relay: RequestedName.Relay
    let name: String
    /// Empty for all paths.
    let path: String

    /// The place that a client asks for. The name is complete.
    init(_ request: RequestedName) {
        (relay, name, path) = (request.relay, request.name, request.path == "/" ? "" : request.path)
    }

    /// All places under a name at another server.
    init(elsewhere name: String) {
        (relay, self.name, path) = (.tls, name, "")
    }

    /// The place of a port, which has no name.
    init(port: UInt16) {
        (relay, name, path) = (.tls, "port \(port)", "")
    }

    /// `http:app.example.com/api`, for people.
    var description: String { "\(relay == .http ? "http" : "tls"):\(name)\(path)" }
}

/// The names that are public now, on all event loops.
final class RouteTable: Sendable {
    private struct Host {
        /// The longest path first.
        var http: [Route] = []
        var tls: Route?

        var isEmpty: Bool { http.isEmpty && tls == nil }
    }

    private let hosts = Mutex<[String: Host]>([:])
    private let boundPorts = Mutex(RouterPorts())
    private let observer = Mutex<(@Sendable (_ name: String, _ isPublic: Bool, _ owner: String?) -> Void)?>(nil)

    /// Calls a function when requests for a name begin or cease to be relayed, on any thread.
    func observe(_ observer: @escaping @Sendable (_ name: String, _ isPublic: Bool, _ owner: String?) -> Void) {
        self.observer.withLock { $0 = observer }
    }

    /// Calls the function for all names whose requests are relayed, because other certificates are configured.
    func reportAll() {
        guard let observer = observer.withLock({ $0 }) else { return }
        let names = hosts.withLock { $0.compactMap { name, host in host.http.first.map { (name, $0.owner) } } }
        for (name, owner) in names { observer(name, true, owner) }
    }

    /// The ports that the router's addresses have.
    var ports: RouterPorts {
        get { boundPorts.withLock { $0 } }
        set { boundPorts.withLock { $0 = newValue } }
    }

    /// The route of a request.
    func http(_ name: PublicName, path: String) -> Route? {
        hosts.withLock { hosts in
            hosts[name.description]?.http.first { route in
                var rules = RelayRules()
                rules.path = route.place.path
                return rules.covers(path)
            }
        }
    }

    /// The route of a connection whose TLS is passed through.
    func tls(_ name: PublicName) -> Route? { hosts.withLock { $0[name.description]?.tls } }

    /// Whether any service has the name.
    func has(_ name: PublicName) -> Bool { hosts.withLock { $0[name.description] != nil } }

    /// Whether any request for the name is relayed.
    func hasHTTP(_ name: PublicName) -> Bool { hosts.withLock { $0[name.description]?.http.isEmpty == false } }

    /// Makes a member public.
    func add(_ member: RouteMember, at place: NamePlace) {
        hosts.withLock { hosts in
            var host = hosts[place.name] ?? Host()
            switch place.relay {
            case .tls:
                let route = host.tls ?? Route(place)
                route.add(member)
                host.tls = route
            case .http:
                if let route = host.http.first(where: { $0.place == place }) {
                    route.add(member)
                } else {
                    let route = Route(place)
                    route.add(member)
                    host.http.append(route)
                    host.http.sort { $0.place.path.utf8.count > $1.place.path.utf8.count }
                }
            }
            hosts[place.name] = host
        }
        if place.relay == .http { observer.withLock { $0 }?(place.name, true, member.owner) }
    }

    /// Withdraws a member.
    func remove(_ member: RouteMember, at place: NamePlace) {
        let isLast = hosts.withLock { hosts in
            guard var host = hosts[place.name] else { return false }
            let hadRequests = !host.http.isEmpty
            switch place.relay {
            case .tls: if host.tls?.remove(member) == true { host.tls = nil }
            case .http: host.http.removeAll { $0.place == place && $0.remove(member) }
            }
            hosts[place.name] = host.isEmpty ? nil : host
            return hadRequests && host.http.isEmpty
        }
        if isLast { observer.withLock { $0 }?(place.name, false, nil) }
    }
}

/// A name that is public, as the session's ports see it.
final class RouteListener: PortListener {
    let tunnel: UInt16
    let place: PublicPlace
    let requestedAddresses: Set<String>
    var isAccepting = true
    let member: RouteMember?
    private let table: RouteTable
    private let name: NamePlace

    /// Makes the name public.
    init(_ place: PlaceToBind, _ name: NamePlace, _ member: RouteMember, in table: RouteTable) {
        (tunnel, self.place, self.name, self.member, self.table) = (place.tunnel, place.place, name, member, table)
        requestedAddresses = Set(place.addresses)
        table.add(member, at: name)
    }

    var addresses: String { "\(name)" }

    func close(on loop: any EventLoop) -> EventLoopFuture<Void> {
        if let member { table.remove(member, at: name) }
        return loop.makeSucceededVoidFuture()
    }
}
