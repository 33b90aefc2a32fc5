import Logging
import Mux
import NIOCore
import NIOEmbedded
import Platform

@testable import TunnelCore
@testable import TunnelServer

/// A port binder whose binds the test completes.
final class FakePortBinder: PortBinder {
    /// A requested bind.
    struct Request {
        let port: PortToBind
        let onVisitor: (any Channel) throws -> Void
        let completion: (Result<any PortListener, any Error>) -> Void
    }

    /// Whether binds succeed at once.
    var bindsAtOnce = true
    /// Ports that other programs use.
    var taken: Set<UInt16> = []
    /// The ports of all requested binds, in order.
    private(set) var asked: [UInt16] = []
    /// Binds that wait for ``complete()``.
    private(set) var pending: [Request] = []
    /// The bound ports, in order.
    private(set) var listeners: [FakePortListener] = []

    func bind(
        _ port: PortToBind,
        _ limits: IngressLimits,
        on loop: any EventLoop,
        logger: Logger,
        onVisitor: @escaping (any Channel) throws -> Void,
        completion: @escaping (Result<any PortListener, any Error>) -> Void
    ) {
        asked.append(port.port)
        pending.append(Request(port: port, onVisitor: onVisitor, completion: completion))
        if bindsAtOnce { complete() }
    }

    /// Completes the pending binds.
    func complete() {
        while !pending.isEmpty {
            let request = pending.removeFirst()
            if taken.contains(request.port.port) {
                let inUse = IOError(errnoCode: EADDRINUSE, reason: "bind")
                request.completion(
                    .failure(TCPIngress.Failure(address: request.port.addresses.first ?? "", error: inUse))
                )
            } else {
                let listener = FakePortListener(request)
                listeners.append(listener)
                request.completion(.success(listener))
            }
        }
    }
}

/// A bound port without a kernel.
final class FakePortListener: PortListener {
    let tunnel: UInt16
    let port: UInt16
    let addresses: String
    let requestedAddresses: Set<String>
    var isAccepting = true
    private(set) var isClosed = false
    /// Whether the release of the port waits for ``finishClosing()``.
    var closesSlowly = false
    private let onVisitor: (any Channel) throws -> Void
    private var closing: EventLoopPromise<Void>?

    init(_ request: FakePortBinder.Request) {
        tunnel = request.port.tunnel
        port = request.port.port
        addresses = request.port.addresses.joined(separator: " ")
        requestedAddresses = Set(request.port.addresses)
        onVisitor = request.onVisitor
    }

    /// Accepts a connection.
    func accept(_ channel: any Channel) throws { try onVisitor(channel) }

    func close(on loop: any EventLoop) -> EventLoopFuture<Void> {
        isClosed = true
        let promise = closing ?? loop.makePromise()
        closing = promise
        if !closesSlowly { promise.succeed(()) }
        return promise.futureResult
    }

    /// Releases the port.
    func finishClosing() { closing?.succeed(()) }
}

/// A session that holds ports, and whose answers the test provides.
final class FakePortHolder: PortHolder, @unchecked Sendable {
    let owner: PortOwner
    let name: String
    var waitsUntil: Instant?
    /// The reason with which this session was ended.
    private(set) var ending: Refusal?
    private let alive: EventLoopPromise<Bool>
    /// Completes once the ports of this session are free.
    let released: EventLoopPromise<Void>

    init(_ name: String, client: UInt8, instance: UInt8 = 1, on loop: any EventLoop) {
        self.name = name
        owner = PortOwner(client: [client], instance: [instance])
        alive = loop.makePromise()
        released = loop.makePromise()
    }

    deinit {
        alive.succeed(false)
        released.succeed(())
    }

    /// Completes the check whether the client is alive.
    func answers(_ isAlive: Bool) { alive.succeed(isAlive) }

    func isAlive(within timeout: TimeAmount) -> EventLoopFuture<Bool> { alive.futureResult }

    func end(_ reason: Refusal) -> EventLoopFuture<Void> {
        ending = reason
        return released.futureResult
    }
}
