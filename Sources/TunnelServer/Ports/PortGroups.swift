import Logging
import NIOCore
import Synchronization
import TunnelCore

/// The public ports that groups share, on all event loops. The directory has decided already which sessions belong to a
/// group.
final class PortGroups: Sendable {
    private enum State {
        /// The first member binds the port.
        case binding(EventLoopPromise<Void>)
        case bound
    }

    /// One port: its members and its sockets.
    private struct Port {
        let members: Route
        var count = 1
        var state: State
        /// Closes the sockets.
        var close: (@Sendable () -> EventLoopFuture<Void>)?
    }

    private let ports = Mutex<[UInt16: Port]>([:])

    /// Adds a member, and binds the port for the first one.
    ///
    /// - Parameter completion: called once on the member's event loop; the error is a `TCPIngress.Failure`.
    func join(
        _ place: PlaceToBind,
        _ port: UInt16,
        _ member: RouteMember,
        _ limits: PlaceLimits,
        on loop: any EventLoop,
        logger: Logger,
        completion: @escaping (Result<any PortListener, any Error>) -> Void
    ) {
        let listener = GroupListener(place, member, leavesBy: { [self] in leave(port, member, on: loop) })
        let promise = loop.makePromise(of: Void.self)
        let existing: (Route, EventLoopFuture<Void>?)? = ports.withLock { ports in
            guard var entry = ports[port] else { return nil }
            entry.count += 1
            ports[port] = entry
            if case .binding(let bound) = entry.state { return (entry.members, bound.futureResult.hop(to: loop)) }
            return (entry.members, nil)
        }
        if let (members, bound) = existing {
            promise.succeed()
            let ready = bound ?? promise.futureResult
            return ready.assumeIsolated().whenComplete { result in
                switch result {
                case .success:
                    members.add(member)
                    completion(.success(listener))
                case .failure(let error):
                    self.forget(port)
                    completion(.failure(error))
                }
            }
        }
        let members = Route(NamePlace(port: port))
        ports.withLock { $0[port] = Port(members: members, state: .binding(promise)) }
        TCPIngress.bind(
            tunnel: place.tunnel,
            addresses: place.addresses,
            port: port,
            limits: limits.connections,
            loop: loop,
            logger: logger
        ) { channel in
            try Self.accept(channel, for: members, behind: limits.fronts?.value)
        }
        .assumeIsolated().whenComplete { result in
            switch result {
            case .success(let ingress):
                let bound = NIOLoopBound(ingress, eventLoop: loop)
                self.ports.withLock { ports in
                    ports[port]?.state = .bound
                    ports[port]?.close = {
                        bound.eventLoop.flatSubmit { bound.value.close(on: bound.eventLoop) }
                    }
                }
                members.add(member)
                promise.succeed()
                completion(.success(listener))
            case .failure(let error):
                self.forget(port)
                promise.fail(error)
                completion(.failure(error))
            }
        }
    }

    private func forget(_ port: UInt16) {
        ports.withLock { ports in
            ports[port]?.count -= 1
            if ports[port]?.count == 0 { ports[port] = nil }
        }
    }

    /// Removes a member, and gives the port up with the last one.
    private func leave(_ port: UInt16, _ member: RouteMember, on loop: any EventLoop) -> EventLoopFuture<Void> {
        let close: (@Sendable () -> EventLoopFuture<Void>)? = ports.withLock { ports in
            guard var entry = ports[port] else { return nil }
            _ = entry.members.remove(member)
            entry.count -= 1
            ports[port] = entry.count > 0 ? entry : nil
            return entry.count > 0 ? nil : entry.close
        }
        return close?().hop(to: loop) ?? loop.makeSucceededVoidFuture()
    }

    /// Sends a visitor to a member, or resets it if none is healthy.
    static func accept(_ channel: any Channel, for members: Route, behind fronts: PortFronts?) throws {
        try SocketOptions.visitor(channel)
        try PortVisitor.identify(channel, behind: fronts) { visitor in
            let pipeline = channel.pipeline.syncOperations
            guard members.keepsVisitors || members.member(for: visitor.address) != nil else {
                return try pipeline.addHandler(RefusedVisitorHandler())
            }
            let routed = RoutedVisitor(
                description: visitor.description,
                address: visitor.address,
                publicAddress: visitor.publicAddress
            )
            try pipeline.addHandler(RawVisitor(of: members, routed))
        }
    }
}

/// A member's part in a port of its group, as its session sees it.
final class GroupListener: PortListener {
    let tunnel: UInt16
    let place: PublicPlace
    let addresses: String
    let requestedAddresses: Set<String>
    /// The group accepts for all its members.
    var isAccepting = true
    let member: RouteMember?
    private let leave: () -> EventLoopFuture<Void>
    /// Done once the member has left, and the port is closed if it was the last one.
    private var left: EventLoopFuture<Void>?

    init(_ place: PlaceToBind, _ member: RouteMember, leavesBy leave: @escaping () -> EventLoopFuture<Void>) {
        (tunnel, self.place, self.member, self.leave) = (place.tunnel, place.place, member, leave)
        addresses = place.addresses.joined(separator: " ")
        requestedAddresses = Set(place.addresses)
    }

    func close(on loop: any EventLoop) -> EventLoopFuture<Void> {
        // A session that drains closes its ports, and again when it ends. The claim is released after the latter.
        let left = left ?? leave()
        self.left = left
        return left
    }
}
