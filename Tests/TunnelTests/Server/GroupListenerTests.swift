import NIOEmbedded
import Testing

@testable import TunnelCore
@testable import TunnelServer

@Suite("A member of a group at a public port")
struct GroupListenerTests {
    @Test("leaves once, and is closed only when the port is, however often it is asked to close")
    func closes() {
        let loop = EmbeddedEventLoop()
        let closed = loop.makePromise(of: Void.self)
        let place = PlaceToBind(tunnel: 0, place: .port(8_022), addresses: ["127.0.0.1"])
        let member = RouteMember(0, of: "alice", at: nil, on: loop) { _, _, _ in }
        var leaves = 0
        let listener = GroupListener(place, member) {
            leaves += 1
            return closed.futureResult
        }
        var done = 0
        for _ in 0..<2 { listener.close(on: loop).assumeIsolated().whenComplete { _ in done += 1 } }
        loop.run()
        #expect(leaves == 1 && done == 0)
        closed.succeed()
        loop.run()
        #expect(done == 2)
    }
}
