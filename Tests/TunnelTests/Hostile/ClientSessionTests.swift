import Mux
import NIOCore
import TestSupport
import Testing

extension HostileTests {
    /// Servers that send many frames at once, or a GOAWAY with a delay.
    @Suite(.serialized)
    struct ClientSessionTests {
        @Test("R6 WELCOME, PING, BOUND and OPEN in one segment are all processed, in each of 100 sessions")
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
                            try await eventually("100 sessions have run", within: .seconds(60)) {
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
            "N17 a GOAWAY's delay is obeyed, with and without an open stream",
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
                _ = try peer.readToEnd()
            }
            try await server.withClient(to: service.port) { _ in
                let after = try await redials.next("the client dials again")
                #expect(after > .milliseconds(1_950))
            }
        }
    }
}

extension OutboundFrame {
    /// A PING in the form of the session's own.
    static func ping(_ payload: UInt64) -> OutboundFrame {
        OutboundFrame(.ping, .session, ByteBuffer(integer: payload))
    }
}
