import Logging
import NIOCore
import Synchronization
import TunnelCore

/// The sockets of ports whose sessions are at other servers.
extension RemotePorts {
    /// Time after which a port that could not be bound is tried again. 5 s: the program that has it may end.
    static let retryTime = TimeAmount.seconds(5)

    /// Binds a port that is wanted.
    func bind(_ number: PublicPlace) {
        let port = ports.withLock { ports -> Port? in
            guard !isClosed.load(ordering: .relaxed), var port = ports[number], port.wantsListener else { return nil }
            port.listener = .binding(linkLoop.makePromise())
            ports[number] = port
            return port
        }
        guard let port else { return }
        guard hasDescriptors else { return bound(number, .failure(Shortage())) }
        if let flows = port.flows { bind(number, flows) } else { bind(number, port.route) }
    }

    private func bind(_ number: PublicPlace, _ route: Route) {
        // The links have this event loop too: a visitor's bytes cross from one thread to another at the home alone.
        let loop = linkLoop
        loop.execute { [self] in
            let limits = limits()
            TCPIngress.bind(
                tunnel: 0,
                addresses: addresses,
                port: number.port,
                limits: limits.connections,
                loop: loop,
                logger: logger
            ) { channel in
                try PortGroups.accept(channel, for: route, behind: limits.fronts?.value)
            }
            .assumeIsolated().whenComplete { result in
                self.bound(
                    number,
                    result.map { NIOLoopBound($0, eventLoop: loop) }.map { ingress in
                        { loop.flatSubmit { ingress.value.close(on: loop) } }
                    }
                )
            }
        }
    }

    /// Binds a UDP port on the event loop of the links, on which its flows are opened.
    private func bind(_ number: PublicPlace, _ flows: @escaping Flows) {
        let loop = linkLoop
        loop.execute { [self] in
            let limits = limits()
            UDPIngress.bind(
                addresses: addresses,
                port: number.port,
                limits: limits.flows,
                dropped: limits.dropped,
                loop: loop,
                opener: UDPIngress.Opener { [self] remote in
                    ports.withLock { $0[number]?.flows }?(remote) ?? .refused
                }
            )
            .assumeIsolated().whenComplete { result in
                self.bound(
                    number,
                    result.map { NIOLoopBound($0, eventLoop: loop) }.map { ingress in
                        { loop.flatSubmit { ingress.value.close() } }
                    }
                )
            }
        }
    }

    /// Whether ports of other servers leave enough descriptors for everything else.
    private var hasDescriptors: Bool {
        guard let limit = ProcessUsage.descriptorLimit else { return true }
        let reserved = limits().connections.reservedDescriptors
        return DescriptorCount.shared.inUse < max(limit - reserved, limit / 2)
    }

    private func bound(
        _ number: PublicPlace,
        _ result: Result<@Sendable () -> EventLoopFuture<Void>, any Error>
    ) {
        let hasFailed: Bool
        let listener: Listener
        switch result {
        case .success(let close): (listener, hasFailed) = (.open(close: close), false)
        case .failure: (listener, hasFailed) = (.none, true)
        }
        let (promise, isNew, isRetried) = ports.withLock { ports -> (EventLoopPromise<Void>?, Bool, Bool) in
            guard var port = ports[number], case .binding(let promise) = port.listener else {
                return (nil, false, true)
            }
            let (isNew, isRetried) = (hasFailed && !port.hasFailed, port.isRetried)
            (port.listener, port.hasFailed) = (listener, hasFailed)
            if hasFailed { port.isRetried = true }
            ports[number] = port
            return (promise, isNew, isRetried)
        }
        if case .failure(let error) = result {
            let reason = (error as? TCPIngress.Failure)?.error ?? error
            if isNew {
                logger.warning(
                    "visitors of a port of the cluster are not served here: it cannot be bound",
                    metadata: ["place": "\(number)", "reason": "\(reason.userDescription)"]
                )
            }
            if !isRetried { retry(number) }
        }
        settle(number)
        promise?.succeed()
    }

    private func retry(_ number: PublicPlace) {
        linkLoop.scheduleTask(in: Self.retryTime) { [weak self] in
            self?.ports.withLock { $0[number]?.isRetried = false }
            self?.bind(number)
        }
    }

    /// Closes a listener that is not wanted, and forgets a port without any use.
    func settle(_ number: PublicPlace) {
        let closing = ports.withLock { ports -> EventLoopFuture<Void>? in
            guard let port = ports[number] else { return nil }
            let isUnused = !port.isUsed || port.sharers == 0 && isClosed.load(ordering: .relaxed)
            switch port.listener {
            case .open(let close) where port.localUsers > 0 || isUnused:
                let done = close()
                ports[number]?.listener = .closing(done)
                return done
            case .none where port.localUsers == 0 && isUnused:
                ports[number] = nil
                return nil
            case .none, .binding, .open, .closing:
                return nil
            }
        }
        closing?.whenComplete { [self] _ in
            ports.withLock { $0[number]?.listener = .none }
            bind(number)
            settle(number)
        }
    }

    /// Descriptors are kept for other uses than the ports of other servers.
    private struct Shortage: Error, CustomStringConvertible {
        let description = "few descriptors are left (raise LimitNOFILE)"
    }
}
