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

    /// The place of a port, which has no name.
    init(port: UInt16) {
        (relay, name, path) = (.tls, "port \(port)", "")
    }

    /// `http:app.example.com/api`, for people.
    var description: String { "\(relay == .http ? "http" : "tls"):\(name)\(path)" }
}

/// The members of one place under a name: one tunnel, or those of a group.
final class Route: Sendable {
    /// Visitors that may wait for a member at a time. 1,000: as many as wait for a link.
    static let waitingVisitors = PeerLink.waitingVisitors

    let place: NamePlace
    /// Whether visitors wait for a member while there is none, since the client is on its way to another server.
    let keepsVisitors: Bool
    private let members = Mutex<[RouteMember]>([])
    /// Called with the next member.
    private let waiting = Mutex<[@Sendable () -> Void]>([])

    init(_ place: NamePlace, keepsVisitors: Bool = false) {
        (self.place, self.keepsVisitors) = (place, keepsVisitors)
    }

    /// The member for a visitor: the less busy of two at random; nil if no service is healthy.
    ///
    /// - Parameter address: the visitor's, which decides in a sticky group.
    func member(for address: IPAddress?) -> RouteMember? {
        members.withLock { members in
            if members.count == 1 { return members[0].isUp ? members[0] : nil }
            return RouteChoice.member(of: members, for: address)
        }
    }

    /// Another member for the same request than one that has refused a visitor; nil if there is none.
    func other(than member: RouteMember, for address: IPAddress?) -> RouteMember? {
        members.withLock { members in
            let others = members.filter { $0 !== member && !$0.isPaused && $0.isInterchangeable(with: member) }
            return RouteChoice.member(of: others, for: address)
        }
    }

    /// The operator's name for the owner of the first member.
    var owner: String? { members.withLock { $0.first?.owner } }

    func add(_ member: RouteMember) {
        members.withLock { $0.append(member) }
        let ready = waiting.withLock { waiting in
            defer { waiting = [] }
            return waiting
        }
        for visitor in ready { visitor() }
    }

    /// Waits for another member.
    ///
    /// - Parameter visitor: called once, on any thread.
    /// - Returns: false if too many wait.
    func wait(_ visitor: @escaping @Sendable () -> Void) -> Bool {
        waiting.withLock { waiting in
            guard keepsVisitors, waiting.count < Self.waitingVisitors else { return false }
            waiting.append(visitor)
            return true
        }
    }

    /// - Returns: whether no member is left.
    func remove(_ member: RouteMember) -> Bool {
        member.withdraw()
        return members.withLock { members in
            members.removeAll { $0 === member }
            return members.isEmpty
        }
    }
}

/// The choice among the members of a group.
enum RouteChoice {
    /// The less busy of two at random, or the one that a sticky group has for an address.
    ///
    /// A sticky choice ranks the members by a hash of each with the address. A member that leaves moves its own visitors
    /// alone. A member whose session has no carrier is chosen only if all have none.
    static func member(of all: [RouteMember], for address: IPAddress?) -> RouteMember? {
        let healthy = all.filter(\.isUp)
        let ready = healthy.filter { !$0.isPaused }
        let all = ready.isEmpty ? healthy : ready
        // A session of this server saves the hop.
        let own = all.filter { !$0.isRemote }
        let members = own.isEmpty ? all : own
        guard members.count > 1 else { return members.first }
        if members.contains(where: \.isSticky), let address {
            return members.max { rank($0, address) < rank($1, address) }
        }
        let first = Int.random(in: members.indices)
        var second = Int.random(in: 0..<members.count - 1)
        if second >= first { second += 1 }
        return members[first].load <= members[second].load ? members[first] : members[second]
    }

    private static func rank(_ member: RouteMember, _ address: IPAddress) -> Int {
        var hasher = Hasher()
        hasher.combine(member.client)
        hasher.combine(member.tunnel)
        hasher.combine(address.subscriber)
        return hasher.finalize()
    }
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
