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

    struct Port {
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
        /// Whether the last attempt to bind the port has failed.
        var hasFailed = false
        /// Whether another attempt will follow.
        var isRetried = false
        /// The time until which the port stays bound without a session, whose client may be on its way to another server.
        var keepsUntil: NIODeadline?

        /// Whether a session of another server has the port, or may have it soon, or one of this server shares the listener.
        var isUsed: Bool { sharers > 0 || members.contains(where: \.isRemote) || flows != nil || keepsUntil != nil }

        /// Whether the port is to be bound now.
        var wantsListener: Bool {
            if case .none = listener { localUsers == 0 && isUsed } else { false }
        }
    }

    enum Listener {
        case none
        /// The promise is kept once the sockets are bound, or cannot be.
        case binding(EventLoopPromise<Void>)
        case open(close: @Sendable () -> EventLoopFuture<Void>)
        case closing(EventLoopFuture<Void>)
    }

    /// Whether the server takes no more visitors for others.
    let isClosed = Atomic(false)
    let ports = Mutex<[PublicPlace: Port]>([:])
    let addresses: [String]
    let linkLoop: any EventLoop
    let limits: @Sendable () -> PlaceLimits
    let logger: Logger

    /// - Parameters:
    ///   - addresses: the addresses of public ports.
    ///   - linkLoop: the event loop of the links to other servers.
    init(
        _ addresses: [String],
        linkLoop: any EventLoop,
        limits: @escaping @Sendable () -> PlaceLimits,
        logger: Logger
    ) {
        (self.addresses, self.linkLoop) = (addresses, linkLoop)
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
            port.route.replace(members)
            let wasUsed = port.sharers > 0 || port.members.contains(where: \.isRemote)
            (port.members, port.flows) = (members, flows)
            if wasUsed, members.isEmpty {
                port.keepsUntil = .now() + RawVisitor.waitTimeout
                lingers = true
            } else if !members.isEmpty {
                port.keepsUntil = nil
            }
            ports[number] = port
            return port.wantsListener
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

    /// Closes all listeners, for ever.
    func closeAll() {
        isClosed.store(true, ordering: .relaxed)
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
        return closed(number, on: loop)
    }

    /// Done once no socket is bound, or about to be. The port is not wanted any more.
    private func closed(_ number: PublicPlace, on loop: any EventLoop) -> EventLoopFuture<Void> {
        let listener = ports.withLock { $0[number]?.listener ?? .none }
        switch listener {
        case .none, .open: return loop.makeSucceededVoidFuture()
        case .closing(let done): return done.hop(to: loop)
        case .binding(let promise):
            return promise.futureResult.hop(to: loop).flatMap { [self] in closed(number, on: loop) }
        }
    }

    /// A session of this server has given a port back.
    func restore(_ number: PublicPlace) {
        let listens = ports.withLock { ports in
            guard var port = ports[number] else { return false }
            port.localUsers -= 1
            ports[number] = port
            return port.wantsListener
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
}
