import NIOCore
import Synchronization
import TestSupport
import Testing
import WebSocket

@testable import Mux
@testable import TunnelClient

extension HostileTests {
    /// Servers that violate the resume protocol or refuse a resume.
    @Suite(.serialized)
    struct ClientResumeTests {
        /// A scripted server for one client. Each connection in turn follows its own script.
        private final class ScriptedServer: Sendable {
            /// The ticket of the session, shared by the connections.
            let ticket = Mutex<WireTicket?>(nil)
            /// The notes of the scripts.
            let notes = Mailbox<String>()
            let server: HostileServer

            /// - Parameter scripts: one for each connection; the last serves all further ones.
            init(_ scripts: [@Sendable (WirePeer, ScriptedServer) throws -> Void]) throws {
                let number = Atomic(0)
                let scripted = Mutex<ScriptedServer?>(nil)
                server = try HostileServer { peer in
                    let index = number.add(1, ordering: .relaxed).oldValue
                    while scripted.withLock({ $0 == nil }) { pause() }
                    guard let scripted = scripted.withLock({ $0 }) else { return }
                    try scripts[min(index, scripts.count - 1)](peer, scripted)
                }
                scripted.withLock { $0 = self }
            }

            /// Grants the client a session, and opens stream 2.
            func begin(_ peer: WirePeer, grace: UInt32 = 120) throws {
                let (welcome, ticket) = try peer.resumableGrant(grace: grace)
                self.ticket.withLock { $0 = ticket }
                try peer.send(welcome, WirePeer.bound(), WirePeer.open(2))
                _ = try peer.frame(.accept)
            }

            func expectResume(_ peer: WirePeer) throws -> WirePeer.WireResumption {
                guard let ticket = ticket.withLock({ $0 }) else { throw ScenarioFailure(description: "no session yet") }
                let resumption = try peer.expectResume(ticket)
                notes.put("RESUME \(resumption.request.epoch) \(resumption.request.received)")
                return resumption
            }

            /// Expects the next notes.
            func expect(_ notes: [String]) async throws {
                for expected in notes {
                    let note = try await self.notes.next(expected)
                    #expect(note == expected)
                }
            }

            /// Reads until `text` has been echoed on stream 2.
            static func expectEcho(_ text: String, _ peer: WirePeer) throws {
                var echoed = ""
                while echoed.utf8.count < text.utf8.count {
                    let frame = try peer.frame(.data, .reset)
                    try require(frame.header.type == .data, "the stream was reset")
                    echoed += String(buffer: frame.payload)
                }
                try require(echoed == text, "echoed: \(echoed)")
            }

            /// Runs a client of this server whose service echoes.
            func withClient(
                configure: @escaping (inout ClientConfiguration) -> Void = { _ in },
                _ body: @Sendable (RunningClient) async throws -> Void
            ) async throws {
                let service = try TCPService.echo()
                try await RunningClient.with(
                    .alice,
                    server.port,
                    "8022:127.0.0.1:\(service.port)",
                    configure: configure
                ) { client in
                    do {
                        try await body(client)
                        #expect(service.accepted >= 1)
                    } catch {
                        throw ScenarioFailure(description: "\(error)\nconnections: \(server.failures.all) \(notes.all)")
                    }
                }
            }
        }

        @Test(
            "RESUMED with a count of frames that were never sent ends the session, and a new one begins",
            arguments: [0, .max]
        )
        func impossibleCount(received: UInt64) async throws {
            let scripted = try ScriptedServer([
                { peer, scripted in
                    try scripted.begin(peer)
                    // Acknowledges BIND and ACCEPT, so a count of 0 is impossible.
                    try peer.send(.ack(2), .ping(7))
                    _ = try peer.frame(.pong)
                },
                { peer, scripted in
                    let resumption = try scripted.expectResume(peer)
                    try peer.send(resumption.accepted(received: received))
                    scripted.notes.put("goaway \(try WirePeer.refusalCode(peer.frame(.goAway)))")
                    _ = try peer.readToEnd()
                },
                { peer, scripted in
                    try scripted.begin(peer)
                    try peer.send(WirePeer.data("again"))
                    try ScriptedServer.expectEcho("again", peer)
                    scripted.notes.put("echo")
                    _ = try peer.readToEnd()
                },
            ])
            try await scripted.withClient { client in
                try await scripted.expect(["RESUME 1 2", "goaway \(RefusalCode.protocolViolation)", "echo"])
                #expect(client.ends.all.isEmpty)
            }
        }

        /// The failure of the new carrier of a planned renewal.
        enum RenewalFailure: CaseIterable {
            case unknown, replaced, credentials, silence, end, wrongProof
        }

        @Test(
            "N23 after a failed renewal the present carrier stays in use, and its deferred frames are delivered",
            arguments: RenewalFailure.allCases
        )
        func failedRenewal(how: RenewalFailure) async throws {
            let asked = Gate()
            let scripted = try ScriptedServer([
                { peer, scripted in
                    try scripted.begin(peer)
                    try peer.send(WirePeer.data("before "), WirePeer.renew())
                    asked.wait()
                    // The client defers these frames, and delivers them after the renewal has failed.
                    for word in ["these ", "are ", "kept ", "in ", "order "] { try peer.send(WirePeer.data(word)) }
                    try peer.send(WirePeer.open(4))
                    try ScriptedServer.expectEcho("before these are kept in order ", peer)
                    try peer.send(WirePeer.data("after", stream: 4))
                    _ = try peer.frame(.data)
                    scripted.notes.put("served on")
                    _ = try peer.readToEnd()
                },
                { peer, scripted in
                    let resumption = try scripted.expectResume(peer)
                    asked.open()
                    // Lets the frames of the other carrier arrive first.
                    for _ in 0..<3 { pause() }
                    switch how {
                    case .unknown: try peer.send(WirePeer.refused(.unknownSession))
                    case .replaced: try peer.send(WirePeer.refused(.replaced))
                    case .credentials: try peer.send(WirePeer.refused(.credentials))
                    case .silence: break
                    case .end: return
                    case .wrongProof: try peer.send(WirePeer.corrupted(resumption.accepted(received: 2)))
                    }
                    let types = try peer.readToEnd().frames.map(\.header.type)
                    scripted.notes.put(types.isEmpty ? "closed" : "\(types)")
                },
                { peer, scripted in
                    scripted.notes.put("another dial")
                    _ = try peer.readToEnd()
                },
            ])
            try await scripted.withClient {
                $0.clientLimits.hopTimeout = .seconds(1)
            } _: { client in
                var notes: Set<String> = []
                while notes.count < (how == .end ? 2 : 3) {
                    let note = try await scripted.notes.next("notes after \(notes)")
                    if note != "another dial" { notes.insert(note) }
                }
                #expect(notes == (how == .end ? ["RESUME 1 3", "served on"] : ["RESUME 1 3", "served on", "closed"]))
                // The peer sees the end of the carrier before the client's loop logs it.
                try await eventually("the failure is logged") {
                    client.log.count("the present WebSocket stays in use") >= 1
                }
                #expect(client.log.count("session opened") == 1 && client.log.count("carrier lost") == 0)
                #expect(client.ends.all.isEmpty)
            }
        }

        @Test("A Close of the old carrier before RESUMED does not end the session, even after a GOAWAY")
        func closeBeforeResumed() async throws {
            let (asked, closed) = (Gate(), Gate())
            let scripted = try ScriptedServer([
                { peer, scripted in
                    try scripted.begin(peer)
                    try peer.send(WirePeer.goAway(.goingAway), .ping(1))
                    _ = try peer.frame(.pong)
                    try peer.send(WirePeer.renew())
                    asked.wait()
                    try peer.socket.send(peer.webSocketFrame(8, [3, 233]))
                    _ = try peer.readToEnd()
                    closed.open()
                },
                { peer, scripted in
                    let resumption = try scripted.expectResume(peer)
                    asked.open()
                    closed.wait()
                    try peer.send(resumption.accepted(received: 2), WirePeer.data("goes on"))
                    try ScriptedServer.expectEcho("goes on", peer)
                    scripted.notes.put("echo")
                    _ = try peer.readToEnd()
                },
            ])
            try await scripted.withClient { client in
                try await scripted.expect(["RESUME 1 3", "echo"])
                #expect(client.log.count("session opened") == 1)
            }
        }

        @Test("Too many deferred bytes during a renewal end the old carrier, and the session loses no byte")
        func tooManyDeferredFrames() async throws {
            let (asked, lost) = (Gate(), Gate())
            let piece = String(repeating: "x", count: 32_768)
            let scripted = try ScriptedServer([
                { peer, scripted in
                    try scripted.begin(peer)
                    try peer.send(WirePeer.renew())
                    asked.wait()
                    // The frames belong to a reset stream, so the credit does not limit them.
                    try peer.send(ResetCode.connectionReset.frame(StreamID(2), after: .max))
                    var sent = 1
                    while sent < 400, (try? peer.send(WirePeer.data(piece))) != nil { sent += 1 }
                    _ = try? peer.readToEnd()
                    lost.open()
                },
                { peer, scripted in
                    let resumption = try scripted.expectResume(peer)
                    asked.open()
                    lost.wait()
                    try peer.send(resumption.accepted(received: 2))
                    try peer.send(ResetCode.connectionReset.frame(StreamID(2), after: .max), WirePeer.open(4))
                    _ = try peer.frame(.accept)
                    scripted.notes.put("went on")
                    _ = try peer.readToEnd()
                },
            ])
            try await scripted.withClient {
                // The dial must not time out first.
                $0.clientLimits.hopTimeout = .seconds(60)
            } _: { client in
                try await scripted.expect(["RESUME 1 2", "went on"])
                #expect(client.log.count("session opened") == 1)
            }
        }

        @Test("RESUMED for a session that has ended is answered with GOAWAY, and the carrier is closed")
        func resumedTooLate() async throws {
            let scripted = try ScriptedServer([
                { peer, scripted in try scripted.begin(peer, grace: 1) },
                { peer, scripted in
                    let resumption = try scripted.expectResume(peer)
                    // Waits until the session's grace period has ended.
                    for _ in 0..<20 { pause() }
                    try peer.send(resumption.accepted(received: 2))
                    let (code, frames, _) = try peer.readToEnd()
                    scripted.notes.put("\(frames.map(\.header.type)) \(code?.description ?? "no Close")")
                },
                { peer, scripted in
                    try scripted.begin(peer)
                    scripted.notes.put("another session")
                    _ = try peer.readToEnd()
                },
            ])
            try await scripted.withClient { client in
                let goAway = "\([FrameType.goAway]) \(CloseCode.goingAway.description)"
                try await scripted.expect(["RESUME 1 2"])
                // Either of the two connections may end first.
                let both = [
                    try await scripted.notes.next("a GOAWAY"), try await scripted.notes.next("another session"),
                ]
                #expect(Set(both) == [goAway, "another session"])
                #expect(client.log.count("session opened") == 2 && client.log.count("session resumed") == 0)
            }
        }

        @Test("After REFUSED `replaced` a waiting session is dialled again with a higher epoch, and continues")
        func replacedWhileWaiting() async throws {
            let scripted = try ScriptedServer([
                { peer, scripted in try scripted.begin(peer) },
                { peer, scripted in
                    _ = try scripted.expectResume(peer)
                    try peer.send(WirePeer.refused(.replaced))
                    _ = try peer.readToEnd()
                },
                { peer, scripted in
                    let resumption = try scripted.expectResume(peer)
                    try peer.send(resumption.accepted(received: 2), WirePeer.data("goes on"))
                    try ScriptedServer.expectEcho("goes on", peer)
                    scripted.notes.put("echo")
                    _ = try peer.readToEnd()
                },
            ])
            try await scripted.withClient { client in
                try await scripted.expect(["RESUME 1 2", "RESUME 2 2", "echo"])
                #expect(client.log.count("session opened") == 1)
            }
        }

        @Test(
            "N21 after REFUSED `credentials` a waiting session retries within its life, or ends the client on request",
            arguments: [false, true]
        )
        func refusedWhileWaiting(exits: Bool) async throws {
            let scripted = try ScriptedServer([
                { peer, scripted in try scripted.begin(peer) },
                { peer, scripted in
                    _ = try scripted.expectResume(peer)
                    try peer.send(WirePeer.refused(.credentials))
                    _ = try peer.readToEnd()
                },
            ])
            try await scripted.withClient(configure: { $0.exitsOnRefusal = exits }) { client in
                guard exits else {
                    try await scripted.expect((1...3).map { "RESUME \($0) 2" })
                    #expect(client.log.count("session opened") == 1 && client.ends.all.isEmpty)
                    return
                }
                let end = try await client.ends.next("the client ends")
                #expect(end.hasPrefix("refused: "), "\(end)")
            }
        }

        @Test(
            "N20 carriers that close directly after RESUMED cause at most two dials a second, and the session survives"
        )
        func closedAfterResumed() async throws {
            let scripted = try ScriptedServer([
                { peer, scripted in try scripted.begin(peer) },
                { peer, scripted in
                    let resumption = try scripted.expectResume(peer)
                    try peer.send(resumption.accepted(received: 2))
                },
            ])
            try await scripted.withClient { client in
                let start = ContinuousClock.now
                try await scripted.expect((1...6).map { "RESUME \($0) 2" })
                #expect(start.duration(to: .now) > .milliseconds(2_400))
                #expect(client.log.count("session opened") == 1 && client.log.count("session lost") == 0)
                #expect(client.ends.all.isEmpty)
            }
        }

        @Test("An endless series of RENEW frames over several carriers ends the session as a flood")
        func renewFlood() async throws {
            let scripted = try ScriptedServer([
                { peer, scripted in
                    try scripted.begin(peer)
                    try peer.send(WirePeer.renew())
                    _ = try peer.readToEnd()
                },
                { peer, scripted in
                    let resumption = try scripted.expectResume(peer)
                    try peer.send(resumption.accepted(received: 2), WirePeer.renew())
                    let frames = try peer.readToEnd().frames
                    if let last = frames.last, last.header.type == .goAway {
                        scripted.notes.put("goaway \(try WirePeer.refusalCode(last))")
                    }
                },
            ])
            try await scripted.withClient { client in
                try await scripted.expect((1...10).map { "RESUME \($0) 2" } + ["goaway \(RefusalCode.limit)"])
            }
        }

        @Test(
            "N18 N22 an unknown session resets its streams once, and a new one begins on the same carrier"
        )
        func forgotten() async throws {
            let scripted = try ScriptedServer([
                { peer, scripted in try scripted.begin(peer) },
                { peer, scripted in
                    let (welcome, _) = try peer.grantNewSession()
                    try peer.send(welcome, WirePeer.bound(), WirePeer.open(2), WirePeer.data("anew"))
                    try ScriptedServer.expectEcho("anew", peer)
                    scripted.notes.put("echo")
                    _ = try peer.readToEnd()
                },
            ])
            try await scripted.withClient { client in
                try await scripted.expect(["echo"])
                #expect(client.log.count("session opened") == 2)
                #expect(client.log.count("reset by the other end") == 1)
                #expect(client.log.count("did not know the session any more") == 1)
            }
        }

        @Test("A5 after a refusal the client closes the connection, even if the server does not")
        func refusedAndLeftOpen() async throws {
            let scripted = try ScriptedServer([
                { peer, scripted in
                    var handshake = ServerHandshake(nonce: randomBytes(32), software: "wire/1")
                    try peer.send(handshake.challenge)
                    _ = try handshake.receive(peer.frame(.authenticate))
                    try peer.send(WirePeer.refused(.busy))
                    _ = try peer.readToEnd()
                    scripted.notes.put("closed")
                }
            ])
            let service = try TCPService.echo()
            try await RunningClient.with(.alice, scripted.server.port, "8022:127.0.0.1:\(service.port)") { _ in
                _ = try await scripted.notes.next("the client closes", within: .seconds(5))
            }
        }
    }
}
