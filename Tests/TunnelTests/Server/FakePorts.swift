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
        let place: PlaceToBind
        let visitors: VisitorHandlers
        let completion: (Result<any PortListener, any Error>) -> Void
    }

    /// Whether binds succeed at once.
    var bindsAtOnce = true
    /// Ports that other programs use.
    var taken: Set<PublicPlace> = []
    /// The ports of all requested binds, in order.
    private(set) var asked: [PublicPlace] = []
    /// Binds that wait for ``complete()``.
    private(set) var pending: [Request] = []
    /// The bound ports, in order.
    private(set) var listeners: [FakePortListener] = []

    func bind(
        _ place: PlaceToBind,
        _ limits: PlaceLimits,
        on loop: any EventLoop,
        logger: Logger,
        visitors: VisitorHandlers,
        completion: @escaping (Result<any PortListener, any Error>) -> Void
    ) {
        asked.append(place.place)
        pending.append(Request(place: place, visitors: visitors, completion: completion))
        if bindsAtOnce { complete() }
    }

    /// Completes the pending binds.
    func complete() {
        while !pending.isEmpty {
            let request = pending.removeFirst()
            if taken.contains(request.place.place) {
                let inUse = IOError(errnoCode: EADDRINUSE, reason: "bind")
                request.completion(
                    .failure(TCPIngress.Failure(address: request.place.addresses.first ?? "", error: inUse))
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
    let place: PublicPlace
    let addresses: String
    let requestedAddresses: Set<String>
    var isAccepting = true
    private(set) var isClosed = false
    /// Whether the release of the port waits for ``finishClosing()``.
    var closesSlowly = false
    private let visitors: VisitorHandlers
    private var closing: EventLoopPromise<Void>?

    init(_ request: FakePortBinder.Request) {
        tunnel = request.place.tunnel
        place = request.place.place
        addresses = request.place.addresses.joined(separator: " ")
        requestedAddresses = Set(request.place.addresses)
        visitors = request.visitors
    }

    /// Accepts a connection.
    func accept(_ channel: any Channel) throws { try visitors.connection(channel) }

    /// What the flow of a new sender would belong to; nil if it gets none.
    func flow(from remote: SocketAddress) -> IngressFlow.Opening? {
        if case .flow(let opening) = visitors.flow(remote) { opening } else { nil }
    }

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
    let id: [UInt8]
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
        id = Array(repeating: client, count: 16)
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

extension PublicPlace: ExpressibleByIntegerLiteral {
    /// A TCP port.
    public init(integerLiteral port: UInt16) {
        self = .port(port)
    }
}
