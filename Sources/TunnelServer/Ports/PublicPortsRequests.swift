import Logging
import Mux
import NIOCore
import NetworkAddress
import TunnelCore

/// The requests for ports: each one ends with a published port or with a refusal.
extension PublicPorts {
    /// Makes a port public, or refuses the request. Limits that change meanwhile apply to the next request.
    ///
    /// - Parameters:
    ///   - addresses: those that the client gets.
    ///   - allowed: the ports to choose from if the request is for port 0.
    func bind(_ request: BindRequest, _ addresses: [String], allowed: PortRanges) {
        if request.isForPath, directory.isOwn(path: request.address) {
            refuse(request, PortRefusal.own(request.address))
        } else if request.port == 0, !request.isForPath, request.name == nil {
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
        let metadata: Logger.Metadata = ["place": "\(PublicPlace(request))", "reason": "\(refusal)"]
        refusals.log("port refused", at: .warning, to: logger, metadata)
        owner?.ports(self, refused: request, refusal)
    }

    private func claim(_ request: BindRequest, _ addresses: [String], mayTakeOver: Bool) {
        guard let holder, !isOver else { return }
        let place = PublicPlace(request)
        switch directory.claim(place, for: holder, group: .init(request.group), now: clock.now()) {
        case .granted:
            claim(place, in: request, addresses) { refusal in
                if let refusal { self.refuse(request, refusal) } else { self.listen(request, addresses) }
            }
        case .heldBySame(let other) where mayTakeOver:
            takeOver(request, addresses, from: other)
        case .heldBySame(let other):
            refuse(request, PortRefusal.heldByOtherSession(place, of: other.name))
        case .heldByOther(let name, let seconds):
            refuse(request, PortRefusal.held(place, by: name, since: seconds))
        case .kept(let name, let secondsLeft):
            refuse(request, PortRefusal.kept(place, for: name, secondsLeft: secondsLeft))
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
                return ports.value.refuse(request, PortRefusal.heldByOtherProcess(PublicPlace(request), of: other.name))
            }
            other.end(Refusal(.replaced, "the client has connected anew")).hop(to: ports.eventLoop).whenComplete { _ in
                ports.value.claim(request, addresses, mayTakeOver: false)
            }
        }
    }

    /// The cluster has granted a place.
    private func claimed(_ place: PublicPlace, _ then: @escaping (Refusal?) -> Void) {
        let done = { [self] in
            if isOver { release(place) } else { then(nil) }
            operationEnded()
        }
        guard place.port > 0, let cluster, !isOver, !shared.contains(place) else { return done() }
        if cluster.share(place) {
            shared.insert(place)
            return done()
        }
        guard yielded.insert(place).inserted else { return done() }
        cluster.yield(place, on: loop).assumeIsolated().whenComplete { _ in done() }
    }

    // MARK: The system's sockets

    private func listen(_ request: BindRequest, _ addresses: [String]) {
        let place = PublicPlace(request)
        let group = PortDirectory.Group(request.group)
        bind(
            PlaceToBind(tunnel: request.tunnel, place: place, addresses: addresses, access: access, group: group)
        ) { result in
            switch result {
            case .success(let listener):
                self.publish(listener)
            case .failure(let error):
                let refusal = PortRefusal.failed(place, error, user: self.user(of: place))
                self.release(place)
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
        let place = PublicPlace(request, port: port)
        guard case .granted = directory.claim(place, for: holder, now: clock.now()) else {
            return bindAnyPort(request, addresses, allowed, triesLeft: triesLeft - 1)
        }
        claim(place, in: request, addresses) { refusal in
            if let refusal, refusal.code != .portInUse { return self.refuse(request, refusal) }
            let next = { self.bindAnyPort(request, addresses, allowed, triesLeft: triesLeft - 1) }
            guard refusal == nil else { return next() }
            self.bind(PlaceToBind(tunnel: request.tunnel, place: place, addresses: addresses)) { result in
                switch result {
                case .success(let listener):
                    self.publish(listener)
                case .failure:
                    self.release(place)
                    next()
                }
            }
        }
    }

    /// Claims a place of the directory in the cluster too, unless it is one of this machine alone.
    ///
    /// - Parameter then: called with the refusal, or nil. After a refusal the place is released.
    private func claim(
        _ place: PublicPlace,
        in request: BindRequest,
        _ addresses: [String],
        then: @escaping (Refusal?) -> Void
    ) {
        guard let cluster, let holder, isOfCluster(place, addresses), let wish = ClaimWish(place, request, of: holder)
        else { return then(nil) }
        if let held = tickets[place] {
            guard held.tunnel != wish.tunnel || held.key != wish.key else { return then(nil) }
            // The client's list has changed, and another tunnel has the place now.
            tickets[place] = nil
            cluster.drop(held.ticket)
        }
        pendingOperations += 1
        let bound = NIOLoopBound((self, then), eventLoop: loop)
        cluster.claim(wish) { refusal in
            bound.execute { ports, _ in ports.lost(place, refusal) }
        } completion: { result in
            bound.execute { ports, then in
                switch result {
                case .success(let ticket):
                    ports.tickets[place] = HeldTicket(ticket: ticket, key: wish.key, tunnel: wish.tunnel)
                    return ports.claimed(place, then)
                case .failure(let refusal):
                    ports.release(place)
                    if !ports.isOver { then(refusal) }
                }
                ports.operationEnded()
            }
        }
    }

    /// Whether other servers may have a place too: a port on other addresses than the server's is one machine's alone, and
    /// perhaps hidden from others.
    private func isOfCluster(_ place: PublicPlace, _ addresses: [String]) -> Bool {
        switch place {
        case .port, .udp: Set(addresses) == Set(publicAddresses)
        case .name: true
        case .path: false
        }
    }

    private func bind(_ place: PlaceToBind, _ then: @escaping (Result<any PortListener, any Error>) -> Void) {
        pendingOperations += 1
        if shared.contains(place.place) {
            then(.success(SharedListener(place)))
            return operationEnded()
        }
        let visitors = VisitorHandlers { channel in
            guard let owner = self.owner else { return channel.close(promise: nil) }
            try owner.ports(self, accepted: channel, at: place.tunnel)
        } flow: { remote in
            self.owner?.ports(self, flowFrom: remote, at: place.tunnel) ?? .refused
        } member: {
            self.owner?.ports(self, memberFor: place.tunnel)
        }
        binder.bind(
            place,
            PlaceLimits(connections: limits.ingress, flows: limits.flows, dropped: dropped, fronts: fronts),
            on: loop,
            logger: logger,
            visitors: visitors,
            completion: { result in
                then(result)
                self.operationEnded()
            }
        )
    }

    /// The program that has a port which the system reports as in use.
    private func user(of place: PublicPlace) -> String {
        if case .port(let port) = place, let use = directory.use(ofOwn: port) {
            return "culvert server itself, as \(use)"
        }
        if let holder, directory.claims(place, of: holder) > 1 { return "another tunnel of this session" }
        return "another program on the server"
    }
}

extension NIOLoopBound {
    /// Performs work on the value's event loop.
    func execute<First, Second>(
        _ body: @escaping @Sendable (First, Second) -> Void
    ) where Value == (First, Second) {
        eventLoop.execute { body(self.value.0, self.value.1) }
    }
}
