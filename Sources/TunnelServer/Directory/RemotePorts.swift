import Logging
import NIOCore
import Synchronization
import TunnelCore

/// The public ports whose sessions are at other servers: this server listens at them too, and sends their visitors there.
///
/// If a session of this server gets such a port, it shares the listener, so that no visitor meets a closed port
/// (``share(_:)``). Without a listener it binds the port itself (``yield(_:on:)``).
final class RemotePorts: Sendable {
    /// What decides about the flow of a new sender, on the links' event loop.
    typealias Flows = @Sendable (SocketAddress) -> IngressFlow.Admission

    private struct Port {
        /// The members of a TCP port.
        var route: Route
        var members: [RouteMember] = []
        /// The flows of a UDP port; nil without a session at another server.
        var flows: Flows?
        /// Sessions of this server that have or want the port.
        var localUsers = 0
        /// Sessions of this server whose visitors come by the listener here.
        var sharers = 0
        var listener: Listener = .none

        /// The time until which the port stays bound without a session, whose client may be on its way to another server.
        var keepsUntil: NIODeadline?

        /// Whether a session of another server has the port, or may have it soon, or one of this server shares the listener.
        var isUsed: Bool { sharers > 0 || members.contains(where: \.isRemote) || flows != nil || keepsUntil != nil }

        /// Whether the port is to be bound now.
        var wantsListener: Bool {
            if case .none = listener { localUsers == 0 && isUsed } else { false }
        }
    }

    private enum Listener {
        case none
        case binding
        case open(close: @Sendable () -> EventLoopFuture<Void>)
        case closing(EventLoopFuture<Void>)
    }

    private let ports = Mutex<[PublicPlace: Port]>([:])
    private let group: any EventLoopGroup
    private let addresses: [String]
    private let linkLoop: any EventLoop
    private let limits: @Sendable () -> PlaceLimits
    private let logger: Logger

    /// - Parameters:
    ///   - addresses: the addresses of public ports.
    ///   - linkLoop: the event loop of the links to other servers.
    init(
        _ addresses: [String],
        on group: any EventLoopGroup,
        linkLoop: any EventLoop,
        limits: @escaping @Sendable () -> PlaceLimits,
        logger: Logger
    ) {
        (self.addresses, self.group, self.linkLoop) = (addresses, group, linkLoop)
        (self.limits, self.logger) = (limits, logger)
    }

    // MARK: Other servers

    /// The tunnels of other servers at a port have changed.
    ///
    /// - Parameters:
    ///   - members: those of a TCP port, with those of this server, to which visitors go that have waited.
    ///   - flows: what decides about the flows of a UDP port.
    func update(_ number: PublicPlace, _ members: [RouteMember], flows: Flows? = nil) {
        var lingers = false
        let listens = ports.withLock { ports in
            var port = ports[number] ?? Port(route: Route(NamePlace(port: number.port), keepsVisitors: true))
            for member in port.members { _ = port.route.remove(member) }
            for member in members { port.route.add(member) }
            let wasUsed = port.sharers > 0 || port.members.contains(where: \.isRemote)
            (port.members, port.flows) = (members, flows)
            if wasUsed, members.isEmpty {
                port.keepsUntil = .now() + RawVisitor.waitTimeout
                lingers = true
            } else if !members.isEmpty {
                port.keepsUntil = nil
            }
            let listens = port.wantsListener
            if listens { port.listener = .binding }
            ports[number] = port
            return listens
        }
        if listens { bind(number) }
        settle(number)
        guard lingers else { return }
        linkLoop.scheduleTask(in: RawVisitor.waitTimeout) { [weak self] in
            self?.ports.withLock { ports in
                if let until = ports[number]?.keepsUntil, until <= .now() { ports[number]?.keepsUntil = nil }
            }
            self?.settle(number)
        }
    }

    /// Closes all listeners.
    func closeAll() {
        let numbers = ports.withLock { ports in
            for number in ports.keys {
                ports[number]?.members = []
                ports[number]?.flows = nil
                ports[number]?.keepsUntil = nil
            }
            return Array(ports.keys)
        }
        for number in numbers { settle(number) }
    }

    // MARK: Sessions of this server

    /// A session of this server has got a TCP port.
    ///
    /// - Returns: whether its visitors come by the listener that is open here, until ``unshare(_:)``.
    func share(_ number: PublicPlace) -> Bool {
        ports.withLock { ports in
            guard case .port = number, case .open? = ports[number]?.listener, ports[number]?.localUsers == 0 else {
                return false
            }
            ports[number]?.sharers += 1
            return true
        }
    }

    /// A session of this server has given back a port whose listener it shared.
    func unshare(_ number: PublicPlace) {
        ports.withLock { $0[number]?.sharers -= 1 }
        settle(number)
    }

    /// A session of this server is about to bind a port.
    ///
    /// - Returns: done once nothing of other servers is bound there.
    func yield(_ number: PublicPlace, on loop: any EventLoop) -> EventLoopFuture<Void> {
        ports.withLock { ports in
            var port = ports[number] ?? Port(route: Route(NamePlace(port: number.port), keepsVisitors: true))
            port.localUsers += 1
            ports[number] = port
        }
        settle(number)
        let closing = ports.withLock { ports -> EventLoopFuture<Void>? in
            if case .closing(let done) = ports[number]?.listener { done } else { nil }
        }
        return closing?.hop(to: loop) ?? loop.makeSucceededVoidFuture()
    }

    /// A session of this server has given a port back.
    func restore(_ number: PublicPlace) {
        let listens = ports.withLock { ports in
            guard var port = ports[number] else { return false }
            port.localUsers -= 1
            let listens = port.wantsListener
            if listens { port.listener = .binding }
            ports[number] = port
            return listens
        }
        if listens { bind(number) }
        settle(number)
    }

    /// The ports of sessions at other servers, and how many of them are not bound here though they should be.
    var counts: (used: Int, unserved: Int) {
        ports.withLock { ports in
            (ports.values.count { $0.isUsed }, ports.values.count { $0.wantsListener })
        }
    }

    // MARK: Listeners

    private func bind(_ number: PublicPlace) {
        guard let port = ports.withLock({ $0[number] }) else { return }
        if let flows = port.flows { bind(number, flows) } else { bind(number, port.route) }
    }

    private func bind(_ number: PublicPlace, _ route: Route) {
        let loop = group.next()
        loop.execute { [self] in
            TCPIngress.bind(
                tunnel: 0,
                addresses: addresses,
                port: number.port,
                limits: limits().connections,
                loop: loop,
                logger: logger
            ) { channel in
                try PortGroups.accept(channel, for: route)
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

    private func bound(
        _ number: PublicPlace,
        _ result: Result<@Sendable () -> EventLoopFuture<Void>, any Error>
    ) {
        switch result {
        case .success(let close):
            set(number, .open(close: close))
        case .failure(let error):
            let reason = (error as? TCPIngress.Failure)?.error ?? error
            logger.warning(
                "visitors of a port of the cluster are not served here: it cannot be bound",
                metadata: ["place": "\(number)", "reason": "\(reason.userDescription)"]
            )
            set(number, .none)
        }
        settle(number)
    }

    private func set(_ number: PublicPlace, _ listener: Listener) {
        ports.withLock { $0[number]?.listener = listener }
    }

    /// Closes a listener that is not wanted, and forgets a port without any use.
    private func settle(_ number: PublicPlace) {
        let closing = ports.withLock { ports -> EventLoopFuture<Void>? in
            guard let port = ports[number] else { return nil }
            switch port.listener {
            case .open(let close) where port.localUsers > 0 || !port.isUsed:
                let done = close()
                ports[number]?.listener = .closing(done)
                return done
            case .none where port.localUsers == 0 && !port.isUsed:
                ports[number] = nil
                return nil
            case .none, .binding, .open, .closing:
                return nil
            }
        }
        closing?.whenComplete { [self] _ in
            let listens = ports.withLock { ports in
                guard var port = ports[number] else { return false }
                port.listener = .none
                let listens = port.wantsListener
                if listens { port.listener = .binding }
                ports[number] = port
                return listens
            }
            if listens { bind(number) } else { settle(number) }
        }
    }
}
