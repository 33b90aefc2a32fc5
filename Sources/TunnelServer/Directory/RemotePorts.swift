import Logging
import NIOCore
import Synchronization
import TunnelCore

/// The public ports whose sessions are at other servers: this server listens at them too, and sends their visitors there.
///
/// A session of this server that gets the port comes first: ``yield(_:on:)`` closes the listener for it.
final class RemotePorts: Sendable {
    private struct Port {
        var route: Route
        var members: [RouteMember] = []
        /// Sessions of this server that have or want the port.
        var localUsers = 0
        var listener: Listener = .none

        /// Whether the port is to be bound now.
        var wantsListener: Bool {
            if case .none = listener { localUsers == 0 && !members.isEmpty } else { false }
        }
    }

    private enum Listener {
        case none
        case binding
        case open(close: @Sendable () -> EventLoopFuture<Void>)
        case closing(EventLoopFuture<Void>)
    }

    private let ports = Mutex<[UInt16: Port]>([:])
    private let group: any EventLoopGroup
    private let addresses: [String]
    private let limits: @Sendable () -> IngressLimits
    private let logger: Logger

    /// - Parameter addresses: the addresses of public ports.
    init(
        _ addresses: [String],
        on group: any EventLoopGroup,
        limits: @escaping @Sendable () -> IngressLimits,
        logger: Logger
    ) {
        (self.addresses, self.group, self.limits, self.logger) = (addresses, group, limits, logger)
    }

    // MARK: Other servers

    /// The tunnels of other servers at a port have changed.
    func update(_ number: UInt16, _ members: [RouteMember]) {
        let listens = ports.withLock { ports in
            var port = ports[number] ?? Port(route: Route(NamePlace(port: number)))
            for member in port.members { _ = port.route.remove(member) }
            for member in members { port.route.add(member) }
            port.members = members
            let listens = port.wantsListener
            if listens { port.listener = .binding }
            ports[number] = port
            return listens
        }
        if listens { bind(number) }
        settle(number)
    }

    /// Closes all listeners.
    func closeAll() {
        let numbers = ports.withLock { ports in
            for number in ports.keys { ports[number]?.members = [] }
            return Array(ports.keys)
        }
        for number in numbers { settle(number) }
    }

    // MARK: Sessions of this server

    /// A session of this server is about to bind a port.
    ///
    /// - Returns: done once nothing of other servers is bound there.
    func yield(_ number: UInt16, on loop: any EventLoop) -> EventLoopFuture<Void> {
        ports.withLock { ports in
            var port = ports[number] ?? Port(route: Route(NamePlace(port: number)))
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
    func restore(_ number: UInt16) {
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

    // MARK: Listeners

    private func bind(_ number: UInt16) {
        guard let route = ports.withLock({ $0[number]?.route }) else { return }
        let loop = group.next()
        loop.execute { [self] in
            TCPIngress.bind(
                tunnel: 0,
                addresses: addresses,
                port: number,
                limits: limits(),
                loop: loop,
                logger: logger
            ) { channel in
                try PortGroups.accept(channel, for: route)
            }
            .assumeIsolated().whenComplete { result in
                switch result {
                case .success(let ingress):
                    let bound = NIOLoopBound(ingress, eventLoop: loop)
                    self.set(number, .open { loop.flatSubmit { bound.value.close(on: loop) } })
                case .failure(let error):
                    self.logger.warning(
                        "visitors of a port of the cluster are not served here: it cannot be bound",
                        metadata: ["port": .number(number), "reason": "\(error)"]
                    )
                    self.set(number, .none)
                }
                self.settle(number)
            }
        }
    }

    private func set(_ number: UInt16, _ listener: Listener) {
        ports.withLock { $0[number]?.listener = listener }
    }

    /// Closes a listener that is not wanted, and forgets a port without any use.
    private func settle(_ number: UInt16) {
        let closing = ports.withLock { ports -> EventLoopFuture<Void>? in
            guard let port = ports[number] else { return nil }
            switch port.listener {
            case .open(let close) where port.localUsers > 0 || port.members.isEmpty:
                let done = close()
                ports[number]?.listener = .closing(done)
                return done
            case .none where port.localUsers == 0 && port.members.isEmpty:
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
