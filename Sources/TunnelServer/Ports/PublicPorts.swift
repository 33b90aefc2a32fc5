import Cluster
import Logging
import Mux
import NIOCore
import TunnelCore

/// The session that has public ports.
protocol PublicPortsOwner: AnyObject {
    /// A connection was accepted at a tunnel's port.
    func ports(_ ports: PublicPorts, accepted channel: any Channel, at tunnel: UInt16) throws
    /// A datagram of a new sender has come at a tunnel's UDP port: what its flow belongs to.
    func ports(_ ports: PublicPorts, flowFrom remote: SocketAddress, at tunnel: UInt16) -> IngressFlow.Admission
    /// A tunnel's name becomes public: the tunnel as the router sees it.
    func ports(_ ports: PublicPorts, memberFor tunnel: UInt16) -> RouteMember?
    /// A tunnel gets no port.
    func ports(_ ports: PublicPorts, refused request: BindRequest, _ refusal: Refusal)
    /// Another server of the cluster has got the place of a tunnel.
    func ports(_ ports: PublicPorts, lost listener: any PortListener, _ refusal: Refusal)
    /// A tunnel's port is public.
    func ports(_ ports: PublicPorts, published listener: any PortListener)
    /// After ``PublicPorts/releaseAll()`` no port is bound, being bound or claimed any more. Called once.
    func portsAreReleased(_ ports: PublicPorts)
}

/// A claim in the cluster, and what it stands for there.
struct HeldTicket {
    let ticket: ClaimTicket
    let key: ClaimKey
    /// The tunnel that other servers name.
    let tunnel: UInt16
}

/// The public ports and Unix sockets of one session: claims them in the directory, binds them, and releases them.
///
/// ```
///  bind ──▶ claim ──▶ system's bind ──▶ published ──▶ closed ──▶ released
///             │             │
///             │             └─ failed, or the session has ended: the claim is released
///             └─ held by an older session of the same process: take-over, if that one does not answer
/// ```
final class PublicPorts {
    private enum State {
        case open
        /// No visitor is accepted, and no further port becomes public.
        case closed
        /// The session is over. Its last claims are released once the system has answered.
        case releasing
        case released
    }

    /// Ports of the allowed range that are tried for a request of port 0.
    static let tries = 50

    /// Time in which the session that holds a port must answer before another one takes the port over.
    static let takeOverTimeout = TimeAmount.seconds(2)

    let directory: PortDirectory
    /// The other servers' claims; nil without a cluster.
    let cluster: (any ClusterDirectory)?
    /// The claims in the cluster.
    var tickets: [PublicPlace: HeldTicket] = [:]
    /// Places that another server has got before they were public here.
    private var lostPlaces: [PublicPlace: Refusal] = [:]
    /// The addresses of a port that is not narrowed, which other servers have too.
    let publicAddresses: [String]
    /// The fronts before the public ports; nil if there are none.
    let fronts: PresentFronts?
    /// Ports at which the server does not listen for other servers' sessions, because this session has them.
    var yielded: Set<PublicPlace> = []
    /// Ports whose visitors come by a listener of the cluster's.
    var shared: Set<PublicPlace> = []
    let binder: any PortBinder
    let clock: ServerClock
    let refusals: LogThrottle
    let logger: Logger
    let loop: any EventLoop
    /// The operator's limits for ports that are bound from now on.
    var limits: ServerLimits
    /// The users who may connect to a Unix socket.
    var access = UnixSocketAccess.ownersOnly
    let dropped: DroppedDatagrams
    private var state = State.open
    private var listeners: [any PortListener] = []
    /// Binds and closes that the system has not answered. Their claims are released even if the session ends first.
    var pendingOperations = 0
    private(set) var holder: (any PortHolder)?
    /// Kept until everything is released.
    private(set) var owner: (any PublicPortsOwner)?

    init(
        directory: PortDirectory,
        cluster: (any ClusterDirectory)? = nil,
        publicAddresses: [String] = [],
        fronts: PresentFronts? = nil,
        binder: any PortBinder,
        clock: ServerClock,
        limits: ServerLimits,
        dropped: DroppedDatagrams,
        refusals: LogThrottle,
        logger: Logger,
        loop: any EventLoop
    ) {
        self.directory = directory
        self.cluster = cluster
        (self.publicAddresses, self.fronts) = (publicAddresses, fronts)
        self.binder = binder
        self.clock = clock
        self.refusals = refusals
        self.limits = limits
        self.dropped = dropped
        self.logger = logger
        self.loop = loop
    }

    /// Claims ports in the name of `holder` from now on.
    func start(_ holder: any PortHolder, _ owner: any PublicPortsOwner) {
        self.holder = holder
        self.owner = owner
    }

    // MARK: State

    /// Whether visitors are accepted and ports become public.
    var isOpen: Bool {
        if case .open = state { true } else { false }
    }

    var isOver: Bool {
        switch state {
        case .open, .closed: false
        case .releasing, .released: true
        }
    }

    /// Ports that are public, or being bound or closed.
    var count: Int { listeners.count + pendingOperations }

    /// The ports that are public.
    var published: [any PortListener] { listeners }

    /// Decides for each tunnel whether connections are accepted or wait in the kernel's listen queue.
    ///
    /// - Returns: whether all tunnels accept.
    func setAccepting(_ accepts: (UInt16) -> Bool) -> Bool {
        var all = true
        for listener in listeners {
            let isAccepting = accepts(listener.tunnel)
            if listener.isAccepting != isAccepting { listener.isAccepting = isAccepting }
            all = all && isAccepting
        }
        return all
    }

    // MARK: Publishing and closing

    func publish(_ listener: any PortListener) {
        guard isOpen else { return close(listener) }
        listeners.append(listener)
        owner?.ports(self, published: listener)
        if let refusal = lostPlaces.removeValue(forKey: listener.place), listeners.contains(where: { $0 === listener })
        {
            owner?.ports(self, lost: listener, refusal)
        }
    }

    /// Closes all ports. Their places in the directory stay until ``releaseAll()``.
    func close() {
        if isOpen { state = .closed }
        for listener in listeners { listener.close(on: loop).whenComplete { _ in } }
    }

    /// Closes one port and releases its claim.
    func withdraw(_ listener: any PortListener) {
        listeners.removeAll { $0 === listener }
        close(listener)
    }

    /// Releases everything at the end of the session, each claim once the system has released its port.
    func releaseAll() {
        guard !isOver else { return }
        let closing = listeners.map { $0.close(on: loop) }
        let places = listeners.map(\.place)
        listeners = []
        state = .releasing
        pendingOperations += 1
        EventLoopFuture.andAllComplete(closing, on: loop).assumeIsolated().whenComplete { _ in
            for place in places { self.release(place) }
            self.operationEnded()
        }
    }

    func release(_ place: PublicPlace) {
        guard let holder else { return }
        directory.release(place, holder)
        guard directory.claims(place, of: holder) == 0 else { return }
        lostPlaces[place] = nil
        if let held = tickets.removeValue(forKey: place) { cluster?.drop(held.ticket) }
        if yielded.remove(place) != nil { cluster?.restore(place) }
        if shared.remove(place) != nil { cluster?.unshare(place) }
    }

    /// Another server has got a place.
    func lost(_ place: PublicPlace, _ refusal: Refusal) {
        tickets[place] = nil
        let lost = listeners.filter { $0.place == place }
        if lost.isEmpty { lostPlaces[place] = refusal }
        for listener in lost { owner?.ports(self, lost: listener, refusal) }
    }

    /// Closes a socket and then releases its claim.
    private func close(_ listener: any PortListener) {
        pendingOperations += 1
        listener.close(on: loop).assumeIsolated().whenComplete { _ in
            self.release(listener.place)
            self.operationEnded()
        }
    }

    func operationEnded() {
        pendingOperations -= 1
        guard case .releasing = state, pendingOperations == 0 else { return }
        state = .released
        let owner = owner
        self.owner = nil
        holder = nil
        owner?.portsAreReleased(self)
    }
}
