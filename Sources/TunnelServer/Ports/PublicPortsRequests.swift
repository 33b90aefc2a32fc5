import Logging
import Mux
import NIOCore
import NetworkAddress
import TunnelCore

/// The requests for ports: each one ends with a published port or with a refusal.
extension PublicPorts {
    /// Makes a port public, or refuses the request. Limits that change meanwhile apply to the next request.
    ///
    /// - Parameter allowed: the ports to choose from if the request is for port 0.
    func bind(_ request: BindRequest, _ addresses: [String], allowed: PortRanges) {
        if request.port == 0 {
            bindAnyPort(request, addresses, allowed, triesLeft: Self.tries)
        } else {
            claim(request, addresses, mayTakeOver: true)
        }
    }

    /// The refusal of another port for the client, over all its sessions; nil if it may have one.
    ///
    /// - Parameter capacity: the number of ports that all clients share; nil for a client with a range of its own.
    func refusalOfAnother(shares: ClientShares, of capacity: Int?) -> Refusal? {
        guard let holder else { return nil }
        let (own, all) = directory.count(of: holder.owner.client)
        if own >= limits.portsPerClient { return PortRefusal.limit(ofPorts: limits.portsPerClient) }
        guard let capacity, shares.isExhausted(own, used: all, capacity: capacity) else { return nil }
        return PortRefusal.share
    }

    /// Refuses a request, with a line in the log.
    func refuse(_ request: BindRequest, _ refusal: Refusal) {
        let metadata: Logger.Metadata = ["port": "\(request.port)", "reason": "\(refusal)"]
        refusals.log("port refused", at: .warning, to: logger, metadata)
        owner?.ports(self, refused: request, refusal)
    }

    private func claim(_ request: BindRequest, _ addresses: [String], mayTakeOver: Bool) {
        guard let holder, !isOver else { return }
        let port = request.port
        switch directory.claim(port, for: holder, now: clock.now()) {
        case .granted:
            listen(request, addresses)
        case .heldBySame(let other) where mayTakeOver:
            takeOver(request, addresses, from: other)
        case .heldBySame(let other):
            refuse(request, PortRefusal.heldByOtherSession(port, of: other.name))
        case .heldByOther(let name, let seconds):
            refuse(request, PortRefusal.held(port, by: name, since: seconds))
        case .kept(let name, let secondsLeft):
            refuse(request, PortRefusal.kept(port, for: name, secondsLeft: secondsLeft))
        }
    }

    /// Takes a port from an older session of the same process, unless that session answers.
    ///
    /// A client may return before the server notices that its old connection is dead. If the old session answers, two
    /// processes are running, and the newer one is refused.
    private func takeOver(_ request: BindRequest, _ addresses: [String], from other: any PortHolder) {
        let ports = NIOLoopBound(self, eventLoop: loop)
        other.isAlive(within: Self.takeOverTimeout).hop(to: loop).whenComplete { answer in
            guard case .success(false) = answer else {
                return ports.value.refuse(request, PortRefusal.heldByOtherProcess(request.port, of: other.name))
            }
            other.end(Refusal(.replaced, "the client has connected anew")).hop(to: ports.eventLoop).whenComplete { _ in
                ports.value.claim(request, addresses, mayTakeOver: false)
            }
        }
    }

    // MARK: The system's sockets

    private func listen(_ request: BindRequest, _ addresses: [String]) {
        bind(PortToBind(tunnel: request.tunnel, addresses: addresses, port: request.port)) { result in
            switch result {
            case .success(let listener):
                self.publish(listener)
            case .failure(let error):
                let refusal = PortRefusal.failed(request.port, error, user: self.user(of: request.port))
                self.release(request.port)
                self.refuse(request, refusal)
            }
        }
    }

    /// Tries random ports of the allowed range. Only the bind shows whether a port is free.
    private func bindAnyPort(_ request: BindRequest, _ addresses: [String], _ allowed: PortRanges, triesLeft: Int) {
        var generator = SystemRandomNumberGenerator()
        guard let holder, !isOver else { return }
        guard triesLeft > 0, let port = allowed.random(using: &generator) else {
            return refuse(request, PortRefusal.noFreePort)
        }
        guard case .granted = directory.claim(port, for: holder, now: clock.now()) else {
            return bindAnyPort(request, addresses, allowed, triesLeft: triesLeft - 1)
        }
        bind(PortToBind(tunnel: request.tunnel, addresses: addresses, port: port)) { result in
            switch result {
            case .success(let listener):
                self.publish(listener)
            case .failure:
                self.release(port)
                self.bindAnyPort(request, addresses, allowed, triesLeft: triesLeft - 1)
            }
        }
    }

    private func bind(_ port: PortToBind, _ then: @escaping (Result<any PortListener, any Error>) -> Void) {
        pendingOperations += 1
        binder.bind(
            port,
            limits.ingress,
            on: loop,
            logger: logger,
            onVisitor: { channel in
                guard let owner = self.owner else { return channel.close(promise: nil) }
                try owner.ports(self, accepted: channel, at: port.tunnel)
            },
            completion: { result in
                then(result)
                self.operationEnded()
            }
        )
    }

    /// The program that has a port which the system reports as in use.
    private func user(of port: UInt16) -> String {
        if let use = directory.use(ofOwn: port) { return "culvert server itself, as \(use)" }
        if let holder, directory.claims(port, of: holder) > 1 { return "another tunnel of this session" }
        return "another program on the server"
    }
}
