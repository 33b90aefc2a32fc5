import Mux
import NIOCore
import NetworkAddress
import Synchronization

/// The members of one place under a name: one tunnel, or those of a group.
final class Route: Sendable {
    /// Visitors that may wait for a member at a time. 1,000: as many as wait for a link.
    static let waitingVisitors = PeerLink.waitingVisitors

    let place: NamePlace
    /// Whether visitors wait for a member while there is none, since the client is on its way to another server.
    let keepsVisitors: Bool
    private let members: Mutex<[RouteMember]>
    /// Visitors that wait, with what is called once there is another member.
    private let waiting = Mutex<[ObjectIdentifier: @Sendable () -> Void]>([:])
    /// Asks the cluster again for the servers that have the name; nil if the route learns of its members itself.
    let renewal: (@Sendable (any EventLoop) -> EventLoopFuture<Route?>)?

    init(
        _ place: NamePlace,
        _ members: [RouteMember] = [],
        keepsVisitors: Bool = false,
        renewal: (@Sendable (any EventLoop) -> EventLoopFuture<Route?>)? = nil
    ) {
        (self.place, self.keepsVisitors, self.renewal) = (place, keepsVisitors, renewal)
        self.members = Mutex(members)
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
        wake()
    }

    /// Other members take the place of all.
    func replace(_ all: [RouteMember]) {
        let former = members.withLock { members in
            defer { members = all }
            return members
        }
        for member in former { member.withdraw() }
        if !all.isEmpty { wake() }
    }

    private func wake() {
        let ready = waiting.withLock { waiting in
            defer { waiting = [:] }
            return waiting.values
        }
        for visitor in ready { visitor() }
    }

    /// Waits for another member.
    ///
    /// - Parameter then: called at most once, on any thread.
    /// - Returns: false if too many wait.
    func wait(_ visitor: RawVisitor, _ then: @escaping @Sendable () -> Void) -> Bool {
        waiting.withLock { waiting in
            let id = ObjectIdentifier(visitor)
            guard keepsVisitors, waiting.count < Self.waitingVisitors || waiting[id] != nil else { return false }
            waiting[id] = then
            return true
        }
    }

    /// The visitor waits no longer.
    func stopWaiting(_ visitor: RawVisitor) {
        waiting.withLock { $0[ObjectIdentifier(visitor)] = nil }
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
