import NIOCore
import NIOEmbedded
import NetworkAddress

@testable import TunnelCore
@testable import TunnelServer

/// Names and destinations whose answers the test gives.
final class FakeNetwork: DestinationNetwork {
    private let loop: EmbeddedEventLoop
    /// Running lookups, in their order.
    private(set) var lookups: [(name: String, promise: EventLoopPromise<[SocketAddress]>)] = []
    /// Running connections, in their order.
    private(set) var connections: [(place: String, socket: FakeSocket, promise: EventLoopPromise<any Channel>)] = []

    init(_ loop: EmbeddedEventLoop) {
        self.loop = loop
    }

    func addresses(of name: String) -> EventLoopFuture<[SocketAddress]> {
        let promise = loop.makePromise(of: [SocketAddress].self)
        lookups.append((name, promise))
        return promise.futureResult
    }

    func egress(
        to addresses: [IPAddress],
        port: UInt16,
        timeout: TimeAmount,
        onSocket: @escaping (any Channel) -> Void
    ) -> any Egress {
        let place = addresses.map { "\($0)" }.joined(separator: " ") + " \(port)"
        return FakeEgress(network: self, place: place, onSocket: onSocket)
    }

    func egress(to path: String, timeout: TimeAmount, onSocket: @escaping (any Channel) -> Void) -> any Egress {
        FakeEgress(network: self, place: path, onSocket: onSocket)
    }

    fileprivate func connect(
        to place: String,
        _ onSocket: (any Channel) -> Void
    ) -> EventLoopFuture<any Channel> {
        let promise = loop.makePromise(of: (any Channel).self)
        let socket = FakeSocket(loop: loop)
        onSocket(socket)
        connections.append((place, socket, promise))
        return promise.futureResult
    }

    /// The first lookup has an answer.
    func answer(_ addresses: String...) throws {
        let found = try addresses.map { try SocketAddress(ipAddress: $0, port: 0) }
        lookups.removeFirst().promise.succeed(found)
        loop.run()
    }

    /// The first lookup has failed.
    func answer(_ failure: NameFailure) {
        lookups.removeFirst().promise.fail(failure)
        loop.run()
    }

    /// The first connection is made.
    ///
    /// - Parameter address: the one that was reached.
    func connect(at address: String = "192.0.2.7") throws -> FakeSocket {
        let (_, socket, promise) = connections.removeFirst()
        socket.remoteAddress = try SocketAddress(ipAddress: address, port: 80)
        promise.succeed(socket)
        loop.run()
        return socket
    }

    /// The first connection has failed.
    func fail(_ error: any Error) {
        let (_, socket, promise) = connections.removeFirst()
        socket.close(promise: nil)
        promise.fail(error)
        loop.run()
    }
}

private struct FakeEgress: Egress {
    let network: FakeNetwork
    let place: String
    let onSocket: (any Channel) -> Void

    func connect(onBegin: (@escaping () -> Void) -> Void) -> EventLoopFuture<any Channel> {
        onBegin {}
        return network.connect(to: place, onSocket)
    }
}
