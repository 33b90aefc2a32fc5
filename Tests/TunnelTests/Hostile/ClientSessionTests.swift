import Mux
import NIOCore
import TestSupport
import Testing

extension HostileTests {
    /// A server that says everything at once, and one that wants to be left alone.
    @Suite(.serialized)
    struct ClientSessionTests {
        @Test("R6 WELCOME, PING, BOUND and OPEN in one segment are all processed, a hundred times in a row")
        func everythingInOneSegment() async throws {
            let service = try TCPService.echo()
            let done = Mailbox<Void>()
            let server = try HostileServer { peer in
                try peer.send(peer.grant(), .ping(7), WirePeer.bound(), WirePeer.open(2))
                var missing: Set<FrameType> = [.pong, .accept]
                while !missing.isEmpty { missing.remove(try peer.frame(.pong, .accept).header.type) }
                done.put(())
            }
            try await withThrowingTaskGroup(of: Void.self) { clients in
                for _ in 0..<25 {
                    clients.addTask {
                        try await server.withClient(to: service.port) { client in
                            try await eventually("a hundred sessions", within: .seconds(60)) {
                                try require(client.ends.all.isEmpty, "the client has ended: \(client.ends.all)")
                                if done.all.count >= 100 { return true }
                                try require(server.failures.all.isEmpty, "\(server.failures.all)")
                                return false
                            }
                        }
                    }
                }
                try await clients.waitForAll()
            }
        }

        @Test(
            "N17 a GOAWAY's delay is obeyed, also while a stream lives",
            .tags(.slow),
            arguments: [false, true],
            [false, true]
        )
        func delayOfGoAway(withStream: Bool, withClose: Bool) async throws {
            let service = try TCPService.echo()
            let redials = Mailbox<Duration>()
            let ended = Mailbox<ContinuousClock.Instant>()
            let server = try HostileServer { peer in
                if let before = ended.all.first {
                    redials.put(.now - before)
                    return
                }
                try peer.send(peer.grant(), WirePeer.bound())
                if withStream {
                    try peer.send(WirePeer.open(2))
                    _ = try peer.frame(.accept)
                }
                ended.put(.now)
                try peer.send(WirePeer.goAway(.goingAway, retryAfter: 2))
                if withClose { try peer.socket.send(peer.webSocketFrame(8, [3, 233])) }
                try peer.socket.finishSending()
                _ = try peer.toTheEnd()
            }
            try await server.withClient(to: service.port) { _ in
                let after = try await redials.next("the client dials again")
                #expect(after > .milliseconds(1_950))
            }
        }
    }
}

extension OutboundFrame {
    /// A PING, as the session's own have it.
    static func ping(_ payload: UInt64) -> OutboundFrame {
        OutboundFrame(.ping, .session, ByteBuffer(integer: payload))
    }
}
