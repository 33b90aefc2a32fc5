import Cluster
import Mux
import NIOCore
import TunnelCore

/// The cluster as the sessions of one server see it. A server without a cluster has none.
///
/// The port directory decides first whether a session of this server may have a place. The cluster then decides whether
/// another server has it.
protocol ClusterDirectory: AnyObject, Sendable {
    /// This server.
    var id: ServerID { get }

    /// Claims a place for a session.
    ///
    /// - Parameters:
    ///   - onLoss: called at most once, on any thread, if another server gets the place after it was granted.
    ///   - completion: called once, on any thread.
    func claim(
        _ wish: ClaimWish,
        onLoss: @escaping @Sendable (Refusal) -> Void,
        completion: @escaping @Sendable (Result<ClaimTicket, Refusal>) -> Void
    )

    /// A session of this server has got a port.
    ///
    /// - Returns: whether its visitors come by a listener that is open already, until ``unshare(_:)``.
    func share(_ port: PublicPlace) -> Bool

    /// A session of this server has given back a port whose listener it shared.
    func unshare(_ port: PublicPlace)

    /// A session of this server is about to bind a port.
    ///
    /// - Returns: done once the port is not bound for sessions of other servers.
    func yield(_ port: PublicPlace, on loop: any EventLoop) -> EventLoopFuture<Void>

    /// No session of this server has the port any more.
    func restore(_ port: PublicPlace)

    /// The way of a client's carrier to the server of its session.
    func relay(_ destination: PeerDestination, to home: ServerID) -> RouteMember

    /// The way to another server that has a host name.
    ///
    /// - Parameter destination: what is asked for there.
    /// - Returns: a future on `loop` that does not fail.
    func home(
        of name: String,
        _ destination: PeerDestination,
        on loop: any EventLoop
    ) -> EventLoopFuture<NameHome>

    /// Another server reports that it has taken a claim over.
    func taken(_ key: ClaimKey)

    /// The state for the operator; nil if the server is stopping.
    func status() async -> ClusterStatus?

    /// This server as it describes itself to others; nil if it is stopping.
    func ownRecord() async -> ServerRecord?

    /// Sets the gauges.
    func measure() async

    /// The clients of all other servers, in the order of their ids. A server that does not answer is named as such.
    func clients() async -> [ClusterServerClients]

    /// Gives a claim back.
    func drop(_ ticket: ClaimTicket)
}

/// Where visitors of a name go that this server does not have.
enum NameHome: Sendable {
    /// The servers that have it.
    case elsewhere(Route)
    /// No server has it.
    case nowhere
    /// The store has not answered.
    case unknown

    /// The servers that have it.
    var route: Route? {
        if case .elsewhere(let route) = self { route } else { nil }
    }
}

/// A claim that a session has or wants.
struct ClaimTicket: Sendable, Hashable {
    let id: ClusterNode.ClaimID

    init(_ id: ClusterNode.ClaimID) {
        self.id = id
    }
}

/// A place that a session wants in its cluster.
struct ClaimWish: Sendable {
    /// The key of the claim.
    let key: ClaimKey
    /// The session's id.
    let session: [UInt8]
    /// The session's number of the tunnel.
    let tunnel: UInt16
    /// The operator's name for the client.
    let client: String
    /// The place, for messages.
    let description: String

    /// A wish of a session.
    ///
    /// - Returns: nil for a place of one machine, which no other server can have.
    init?(_ place: PublicPlace, _ request: BindRequest, of holder: any PortHolder) {
        let clusterPlace: ClaimPlace
        var part = ""
        switch place {
        case .port(let port): clusterPlace = .tcp(port)
        case .udp(let port): clusterPlace = .udp(port)
        case .name(let name):
            clusterPlace = .name(name.name)
            part = "\(name.relay == .http ? "http" : "tls"):\(name.path)"
        case .path: return nil
        }
        let owner = holder.owner
        let group = request.group.map { ClaimOwner(group: $0.name, proof: $0.proof) }
        key = ClaimKey(
            clusterPlace,
            part: part,
            owner: group ?? .client(owner.client),
            member: ClaimMember(client: owner.client, instance: owner.instance)
        )
        session = holder.id
        tunnel = request.tunnel
        client = holder.name
        description = "\(place)"
    }
}
