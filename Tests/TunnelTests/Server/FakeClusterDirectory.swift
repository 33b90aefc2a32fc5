import Cluster
import Mux
import NIOCore
import TunnelCore

@testable import TunnelServer

/// A cluster that grants claims when the test says so.
final class FakeClusterDirectory: ClusterDirectory, @unchecked Sendable {
    let id = ServerID(1)
    /// What was asked of it, in its order. The test and the directory are on one thread.
    private(set) var calls: [String] = []
    private var waiting: [(wish: ClaimWish, completion: @Sendable (Result<ClaimTicket, Refusal>) -> Void)] = []
    private var losses: [PublicPlace: @Sendable (Refusal) -> Void] = [:]
    private var node = ClusterNode(ServerRecord(ServerID(1), peerURL: "", version: "", since: 0))

    func claim(
        _ wish: ClaimWish,
        onLoss: @escaping @Sendable (Refusal) -> Void,
        completion: @escaping @Sendable (Result<ClaimTicket, Refusal>) -> Void
    ) {
        calls.append("claim \(wish.key.place) for \(wish.tunnel)")
        if case .tcp(let port) = wish.key.place { losses[.port(port)] = onLoss }
        waiting.append((wish, completion))
    }

    /// Grants the oldest claim.
    func grant() {
        guard !waiting.isEmpty else { return }
        let (wish, completion) = waiting.removeFirst()
        let claim = Claim(wish.key, home: id, session: [1], tunnel: wish.tunnel, client: "alice", since: 0)
        completion(.success(ClaimTicket(node.want(claim, now: Instant(nanoseconds: 0)).0)))
    }

    /// Another server gets a port.
    func lose(_ port: UInt16) { losses.removeValue(forKey: .port(port))?(Refusal(.replaced, "it is elsewhere")) }

    func drop(_ ticket: ClaimTicket) { calls.append("drop") }
    func share(_ port: PublicPlace) -> Bool { false }
    func unshare(_ port: PublicPlace) {}
    func yield(_ port: PublicPlace, on loop: any EventLoop) -> EventLoopFuture<Void> { loop.makeSucceededVoidFuture() }
    func restore(_ port: PublicPlace) {}

    func relay(_ destination: PeerDestination, to home: ServerID) -> RouteMember {
        fatalError("no visitor comes in these tests")
    }

    func home(of name: String, _ destination: PeerDestination, on loop: any EventLoop) -> EventLoopFuture<NameHome> {
        loop.makeSucceededFuture(.nowhere)
    }

    func taken(_ key: ClaimKey) {}
    func status() async -> ClusterStatus? { nil }
    func ownRecord() async -> ServerRecord? { nil }
    func measure() async {}
    func clients() async -> [ClusterServerClients] { [] }
}
