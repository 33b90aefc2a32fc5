import Logging
import NIOCore
import TunnelCore

/// A public port that is bound on one or more addresses, or a public Unix socket.
protocol PortListener: AnyObject {
    /// The client's number for the tunnel.
    var tunnel: UInt16 { get }
    /// The place, whose port is the same on all addresses.
    var place: PublicPlace { get }
    /// The addresses that are bound, separated by spaces; the path of a Unix socket.
    var addresses: String { get }
    /// The addresses that the tunnel asked for.
    var requestedAddresses: Set<String> { get }
    /// Whether connections are accepted. Otherwise they wait in the kernel's listen queue. A UDP port has none.
    var isAccepting: Bool { get set }
    /// The session's tunnel as the router sees it; nil for a place without the router.
    var member: RouteMember? { get }
    /// Closes the sockets.
    ///
    /// - Returns: done once the kernel has released the port.
    func close(on loop: any EventLoop) -> EventLoopFuture<Void>
}

extension PortListener {
    var member: RouteMember? { nil }
}

/// A place that is to be bound.
struct PlaceToBind {
    let tunnel: UInt16
    let place: PublicPlace
    /// The addresses of a port; the path of a Unix socket.
    let addresses: [String]
    /// The users who may connect to a Unix socket.
    var access = UnixSocketAccess.ownersOnly
    /// The group that shares the place; nil for one session's own.
    var group: PortDirectory.Group?
}

/// The limits of a public place.
struct PlaceLimits {
    let connections: IngressLimits
    let flows: FlowLimits
    let dropped: DroppedDatagrams
    /// The fronts before the public ports; nil if there are none.
    var fronts: PresentFronts?
}

/// What a public place's visitors become.
struct VisitorHandlers {
    /// Receives each accepted connection before its first event.
    let connection: (any Channel) throws -> Void
    /// What the flow of a new sender belongs to.
    let flow: (SocketAddress) -> IngressFlow.Admission
    /// The session's tunnel for the router; nil if it is not wanted any more.
    let member: () -> RouteMember?
}

/// Binds public places. Tests bind none and complete the bind by hand.
protocol PortBinder {
    /// Binds a place on all of its addresses, or on none.
    ///
    /// - Parameter completion: called once, on the event loop; the error is a `TCPIngress.Failure`, a
    ///   `UnixListener.Failure` or an `IOError`.
    func bind(
        _ place: PlaceToBind,
        _ limits: PlaceLimits,
        on loop: any EventLoop,
        logger: Logger,
        visitors: VisitorHandlers,
        completion: @escaping (Result<any PortListener, any Error>) -> Void
    )
}

/// Binds ports and Unix sockets of this machine, and makes names public.
struct SystemPortBinder: PortBinder {
    let routes: RouteTable
    let groups: PortGroups

    func bind(
        _ place: PlaceToBind,
        _ limits: PlaceLimits,
        on loop: any EventLoop,
        logger: Logger,
        visitors: VisitorHandlers,
        completion: @escaping (Result<any PortListener, any Error>) -> Void
    ) {
        switch place.place {
        case .port(let port) where place.group != nil:
            guard let member = visitors.member() else { return completion(.failure(ChannelError.ioOnClosedChannel)) }
            groups.join(place, port, member, limits, on: loop, logger: logger, completion: completion)
        case .port(let port):
            TCPIngress.bind(
                tunnel: place.tunnel,
                addresses: place.addresses,
                port: port,
                limits: limits.connections,
                loop: loop,
                logger: logger,
                onVisitor: visitors.connection
            )
            .assumeIsolated().whenComplete { result in completion(result.map { $0 }) }
        case .udp(let port):
            UDPIngress.bind(
                addresses: place.addresses,
                port: port,
                limits: limits.flows,
                dropped: limits.dropped,
                loop: loop,
                opener: UDPIngress.Opener(visitors.flow)
            )
            .assumeIsolated().whenComplete { result in completion(result.map { FlowListener(place, $0) }) }
        case .name(let name):
            // The tunnel may have been withdrawn meanwhile.
            guard let member = visitors.member() else { return completion(.failure(ChannelError.ioOnClosedChannel)) }
            completion(.success(RouteListener(place, name, member, in: routes)))
        case .path(let path):
            let folder = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ""
            if let problem = UnixListener.problem(ofFolder: folder) {
                return completion(.failure(UnixListener.Failure(description: problem)))
            }
            UnixIngress.bind(
                tunnel: place.tunnel,
                path: path,
                access: place.access,
                limits: limits.connections,
                loop: loop,
                onVisitor: visitors.connection
            )
            .assumeIsolated().whenComplete { result in completion(result.map { $0 }) }
        }
    }
}

extension TCPIngress: PortListener {
    var place: PublicPlace { .port(port) }
}

extension UnixIngress: PortListener {
    var place: PublicPlace { .path(addresses) }
    var requestedAddresses: Set<String> { [addresses] }
}

/// A public UDP port.
final class FlowListener: PortListener {
    let tunnel: UInt16
    let place: PublicPlace
    let requestedAddresses: Set<String>
    var isAccepting = true
    private let ingress: UDPIngress

    init(_ place: PlaceToBind, _ ingress: UDPIngress) {
        tunnel = place.tunnel
        self.place = place.place
        requestedAddresses = Set(place.addresses)
        self.ingress = ingress
    }

    var addresses: String { ingress.addresses }

    func close(on loop: any EventLoop) -> EventLoopFuture<Void> { ingress.close() }
}
