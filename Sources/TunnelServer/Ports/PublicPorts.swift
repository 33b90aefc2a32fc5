import Logging
import Mux
import NIOCore
import NetworkAddress
import TunnelAdmin
import TunnelCore

/// Who has public ports.
protocol PublicPortsOwner: AnyObject {
    /// A visitor has come to a tunnel's port.
    func ports(_ ports: PublicPorts, visitedBy channel: any Channel, at tunnel: UInt16) throws
    /// A tunnel has no port.
    func ports(_ ports: PublicPorts, refused tunnel: UInt16)
    /// A tunnel's port is public.
    func ports(_ ports: PublicPorts, published listener: TCPIngress)
    /// After ``PublicPorts/giveBack()`` nothing is bound, being bound or claimed any more. Called once.
    func portsAreGivenBack(_ ports: PublicPorts)
}

/// The public ports of one session: claims them of the registry, binds them, and gives them back.
final class PublicPorts {
    private enum State {
        case open
        /// Nobody comes in, and nothing new becomes public.
        case closed
        /// The session is over, and what was public has been given back; binds may be under way.
        case leaving
        case gone
    }

    /// How many ports of the allowed range are tried where any will do.
    static let tries = 50

    /// How long the session that holds a port has to prove that it lives.
    static let takeOverPatience = TimeAmount.seconds(2)

    private let sessionLoop: SessionLoop
    private let registry: PortDirectory
    private let refusals: LogThrottle
    private let logger: Logger
    private let loop: any EventLoop
    /// The operator's bounds for what is bound from now on.
    var limits: ServerLimits
    private var state = State.open
    private var listeners: [TCPIngress] = []
    /// Binds that have been asked of the system: their claims must be given back even if the session ends first.
    private var bindsUnderWay = 0
    private var handle: ServerSessionHandle?
    /// Until everything has been given back.
    private var owner: (any PublicPortsOwner)?

    init(
        sessionLoop: SessionLoop,
        registry: PortDirectory,
        limits: ServerLimits,
        refusals: LogThrottle,
        logger: Logger,
        loop: any EventLoop
    ) {
        self.refusals = refusals
        self.sessionLoop = sessionLoop
        self.registry = registry
        self.limits = limits
        self.logger = logger
        self.loop = loop
    }

    /// Ports are claimed in the name of `handle` from now on.
    func start(_ handle: ServerSessionHandle, _ owner: any PublicPortsOwner) {
        self.handle = handle
        self.owner = owner
    }

    /// Whether visitors are let in, and ports become public.
    var isOpen: Bool {
        if case .open = state { true } else { false }
    }

    /// Ports that are public, or being bound.
    var count: Int { listeners.count + bindsUnderWay }

    /// Decides for each tunnel whether visitors are taken from its listen queue, where they wait otherwise.
    ///
    /// - Returns: whether all are.
    func setAccepting(_ accepts: (UInt16) -> Bool) -> Bool {
        var all = true
        for listener in listeners {
            let isAccepting = accepts(listener.tunnel)
            if listener.isAccepting != isAccepting { listener.isAccepting = isAccepting }
            all = all && isAccepting
        }
        return all
    }

    /// No visitor is let in any more, and no port becomes public.
    func close() {
        if isOpen { state = .closed }
        for listener in listeners { listener.close(on: loop).whenComplete { _ in } }
    }

    /// The ports that are public.
    var published: [TCPIngress] { listeners }

    /// Gives one port up, as soon as the system has let go of it.
    func withdraw(_ listener: TCPIngress) {
        listeners.removeAll { $0 === listener }
        bindsUnderWay += 1
        listener.close(on: loop).assumeIsolated().whenComplete { _ in
            self.release(listener.port)
            self.bindsUnderWay -= 1
            self.finishIfOver()
        }
    }

    /// The session is over, and the ports are closed: gives their claims back as soon as the system has let go of them.
    func giveBack() {
        let closing = listeners.map { $0.close(on: loop) }
        let ports = listeners.map(\.port)
        listeners = []
        EventLoopFuture.andAllComplete(closing, on: loop).assumeIsolated().whenComplete { _ in
            for port in ports { self.release(port) }
            self.state = .leaving
            self.finishIfOver()
        }
    }

    private func finishIfOver() {
        guard case .leaving = state, bindsUnderWay == 0 else { return }
        state = .gone
        let owner = owner
        self.owner = nil
        handle = nil
        owner?.portsAreGivenBack(self)
    }

    // MARK: Claims

    /// Makes a port public, one of `allowed` where any will do, or tells the client why it cannot be. What is changed
    /// meanwhile counts for the next request.
    func bind(_ request: BindRequest, _ addresses: [String], allowed: PortRanges) {
        if request.port == 0 {
            bindAnyPort(request, addresses, allowed, triesLeft: Self.tries)
        } else {
            claim(request, addresses, mayTakeOver: true)
        }
    }

    /// Why the client cannot have another port now, over all its sessions; nil if it can.
    ///
    /// - Parameter capacity: ports that all clients share; nil for a client with a range of its own.
    func room(for request: BindRequest, shares: ClientShares, of capacity: Int?) -> Refusal? {
        guard let handle else { return nil }
        let (own, all) = registry.count(of: handle.owner.client)
        if own >= limits.portsPerClient {
            return Refusal(.limit, "this client may have \(limits.portsPerClient) ports in all its sessions")
        }
        guard let capacity, shares.isExhausted(own, used: all, capacity: capacity) else { return nil }
        return Refusal(.busy, "this client has its share of the server's ports", retryAfter: 30)
    }

    /// Tells the client that it cannot have the port.
    func refuse(_ request: BindRequest, _ refusal: Refusal) {
        let metadata: Logger.Metadata = ["port": "\(request.port)", "reason": "\(refusal)"]
        refusals.log("port refused", at: .warning, to: logger, metadata)
        owner?.ports(self, refused: request.tunnel)
        sessionLoop.run(.unbound(request.tunnel, refusal))
    }

    private func claim(_ request: BindRequest, _ addresses: [String], mayTakeOver: Bool) {
        guard let handle, !sessionLoop.isEnded else { return }
        switch registry.claim(request.port, for: handle, now: .now) {
        case .granted:
            listen(request, addresses)
        case .heldBySame(let other) where mayTakeOver:
            takeOver(request, addresses, from: other)
        case .heldBySame(let other):
            refuse(request, Refusal(.portInUse, "port \(request.port) is held by another session of \(other.name)"))
        case .heldByOther(let name, let seconds):
            let since = "since \(seconds) s"
            refuse(request, Refusal(.portInUse, "port \(request.port) is held by \(name) \(since)"))
        case .kept(let name, let secondsLeft):
            let text = "port \(request.port) is kept for \(name), which was cut off, for another \(secondsLeft) s"
            refuse(request, Refusal(.portInUse, text))
        }
    }

    /// The same process comes back before its old connection was missed: if that one still answers, two processes run
    /// and the newcomer has to wait; otherwise it takes the port.
    private func takeOver(_ request: BindRequest, _ addresses: [String], from other: ServerSessionHandle) {
        let self_ = NIOLoopBound(self, eventLoop: loop)
        other.isAlive(within: Self.takeOverPatience).hop(to: loop).whenComplete { answer in
            guard case .success(false) = answer else {
                let text =
                    "port \(request.port) is held by another running process of \(other.name)"
                self_.value.refuse(request, Refusal(.portInUse, text))
                return
            }
            other.end(Refusal(.replaced, "the client has connected anew")).hop(to: self_.value.loop).whenComplete { _ in
                self_.value.claim(request, addresses, mayTakeOver: false)
            }
        }
    }

    private func release(_ port: UInt16) {
        if let handle { registry.release(port, handle) }
    }

    // MARK: Sockets

    private func listen(_ request: BindRequest, _ addresses: [String]) {
        bind(request.tunnel, addresses, request.port) { result in
            switch result {
            case .success(let listener):
                self.publish(listener)
            case .failure(let error):
                let refusal = self.refusal(request.port, error)
                self.release(request.port)
                self.refuse(request, refusal)
            }
        }
    }

    /// Tries ports of the allowed range at random: the bind is the check.
    private func bindAnyPort(_ request: BindRequest, _ addresses: [String], _ allowed: PortRanges, triesLeft: Int) {
        var generator = SystemRandomNumberGenerator()
        guard let handle, !sessionLoop.isEnded else { return }
        guard triesLeft > 0, let port = allowed.random(using: &generator) else {
            return refuse(request, Refusal(.bindFailed, "no free port found"))
        }
        guard case .granted = registry.claim(port, for: handle, now: .now) else {
            return bindAnyPort(request, addresses, allowed, triesLeft: triesLeft - 1)
        }
        bind(request.tunnel, addresses, port) { result in
            switch result {
            case .success(let listener):
                self.publish(listener)
            case .failure:
                self.release(port)
                self.bindAnyPort(request, addresses, allowed, triesLeft: triesLeft - 1)
            }
        }
    }

    private func bind(
        _ tunnel: UInt16,
        _ addresses: [String],
        _ port: UInt16,
        _ then: @escaping (Result<TCPIngress, any Error>) -> Void
    ) {
        bindsUnderWay += 1
        TCPIngress.bind(
            tunnel: tunnel,
            addresses: addresses,
            port: port,
            limits: limits.ingress,
            loop: loop,
            logger: logger
        ) {
            channel in
            guard let owner = self.owner else { return channel.close(promise: nil) }
            try owner.ports(self, visitedBy: channel, at: tunnel)
        }.assumeIsolated().whenComplete { result in
            then(result)
            self.bindsUnderWay -= 1
            self.finishIfOver()
        }
    }

    private func publish(_ listener: TCPIngress) {
        guard isOpen, !sessionLoop.isEnded else {
            bindsUnderWay += 1
            listener.close(on: loop).assumeIsolated().whenComplete { _ in
                self.release(listener.port)
                self.bindsUnderWay -= 1
                self.finishIfOver()
            }
            return
        }
        listeners.append(listener)
        owner?.ports(self, published: listener)
    }

    /// What uses a port that the system refuses because it is in use.
    private func user(of port: UInt16) -> String {
        if let use = registry.use(ofOwn: port) { return "culvert server itself, as \(use)" }
        if let handle, registry.claims(port, of: handle) > 1 { return "another tunnel of this session" }
        return "another program on the server"
    }

    private func refusal(_ port: UInt16, _ error: any Error) -> Refusal {
        guard let failure = error as? TCPIngress.Failure else {
            return Refusal(.bindFailed, "the server cannot bind port \(port)")
        }
        let place = "port \(port) of \(failure.address)"
        return switch SocketFailure(failure.error) {
        case .addressInUse?: Refusal(.portInUse, "\(place) is in use by \(user(of: port))")
        case .notPermitted?: Refusal(.bindFailed, "the server may not bind \(place)")
        case .addressMissing?: Refusal(.bindFailed, "the server does not have the address \(failure.address)")
        case .familyMissing?: Refusal(.bindFailed, "the server does not have addresses like \(failure.address)")
        default: Refusal(.bindFailed, "the server cannot bind \(place)")
        }
    }
}
