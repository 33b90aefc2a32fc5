import NIOCore
import Synchronization
import TestSupport
import Testing
import WebSocket

@testable import Mux
@testable import TunnelClient

extension HostileTests {
    /// Servers that break the promises of a resume, or cannot keep them.
    @Suite(.serialized)
    struct ClientResumeTests {
        /// A server by hand for one client, whose connections follow a script each, in the order in which they come.
        private final class Play: Sendable {
            /// What the connections share.
            let ticket = Mutex<WireTicket?>(nil)
            /// What was seen.
            let notes = Mailbox<String>()
            let server: HostileServer

            /// - Parameter acts: the last one serves whatever else comes.
            init(_ acts: [@Sendable (WirePeer, Play) throws -> Void]) throws {
                let number = Atomic(0)
                let play = Mutex<Play?>(nil)
                server = try HostileServer { peer in
                    let index = number.add(1, ordering: .relaxed).oldValue
                    while play.withLock({ $0 == nil }) { pause() }
                    guard let play = play.withLock({ $0 }) else { return }
                    try acts[min(index, acts.count - 1)](peer, play)
                }
                play.withLock { $0 = self }
            }

            /// Grants the client its session; stream 2 is open then.
            func begin(_ peer: WirePeer, grace: UInt32 = 120) throws {
                let (welcome, ticket) = try peer.lastingGrant(grace: grace)
                self.ticket.withLock { $0 = ticket }
                try peer.send(welcome, WirePeer.bound(), WirePeer.open(2))
                _ = try peer.frame(.accept)
            }

            func expectResume(_ peer: WirePeer) throws -> WirePeer.WireResumption {
                guard let ticket = ticket.withLock({ $0 }) else { throw ScenarioFailure(description: "no session yet") }
                let resumption = try peer.expectResume(ticket)
                notes.put("RESUME \(resumption.wish.epoch) \(resumption.wish.received)")
                return resumption
            }

            /// What is noted next.
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

            /// Runs a client of it whose service echoes.
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
            "RESUMED with a count of frames that were never sent ends the session, and another one begins",
            arguments: [0, .max]
        )
        func impossibleCount(received: UInt64) async throws {
            let play = try Play([
                { peer, play in
                    try play.begin(peer)
                    // BIND and ACCEPT, which cannot be taken back then.
                    try peer.send(.ack(2), .ping(7))
                    _ = try peer.frame(.pong)
                },
                { peer, play in
                    let resumption = try play.expectResume(peer)
                    try peer.send(resumption.proved.resumed(received: received))
                    play.notes.put("goaway \(try WirePeer.refusalCode(peer.frame(.goAway)))")
                    _ = try peer.toTheEnd()
                },
                { peer, play in
                    try play.begin(peer)
                    try peer.send(WirePeer.data("again"))
                    try Play.expectEcho("again", peer)
                    play.notes.put("echo")
                    _ = try peer.toTheEnd()
                },
            ])
            try await play.withClient { client in
                try await play.expect(["RESUME 1 2", "goaway \(RefusalCode.protocolViolation)", "echo"])
                #expect(client.ends.all.isEmpty)
            }
        }

        /// How the new carrier of a planned renewal comes to nothing.
        enum Vain: CaseIterable {
            case unknown, replaced, credentials, silence, end, wrongProof
        }

        @Test(
            "N23 a renewal that comes to nothing, perhaps at another server: the present carrier serves on, with what it brought meanwhile",
            arguments: Vain.allCases
        )
        func vainRenewal(how: Vain) async throws {
            let asked = Gate()
            let play = try Play([
                { peer, play in
                    try play.begin(peer)
                    try peer.send(WirePeer.data("before "), WirePeer.renew())
                    asked.wait()
                    // Set aside now, and taken when the other carrier has come to nothing.
                    for word in ["these ", "are ", "kept ", "in ", "order "] { try peer.send(WirePeer.data(word)) }
                    try peer.send(WirePeer.open(4))
                    try Play.expectEcho("before these are kept in order ", peer)
                    try peer.send(WirePeer.data("after", stream: 4))
                    _ = try peer.frame(.data)
                    play.notes.put("served on")
                    _ = try peer.toTheEnd()
                },
                { peer, play in
                    let resumption = try play.expectResume(peer)
                    asked.open()
                    // The other carrier's frames first, as they may come in any order.
                    for _ in 0..<3 { pause() }
                    switch how {
                    case .unknown: try peer.send(WirePeer.refused(.unknownSession))
                    case .replaced: try peer.send(WirePeer.refused(.replaced))
                    case .credentials: try peer.send(WirePeer.refused(.credentials))
                    case .silence: break
                    case .end: return
                    case .wrongProof: try peer.send(WirePeer.spoiled(resumption.proved.resumed(received: 2)))
                    }
                    let types = try peer.toTheEnd().frames.map(\.header.type)
                    play.notes.put(types.isEmpty ? "closed" : "\(types)")
                },
                { peer, play in
                    play.notes.put("another dial")
                    _ = try peer.toTheEnd()
                },
            ])
            try await play.withClient {
                $0.clientLimits.hopTimeout = .seconds(1)
            } _: { client in
                var notes: Set<String> = []
                while notes.count < (how == .end ? 2 : 3) {
                    let note = try await play.notes.next("notes after \(notes)")
                    if note != "another dial" { notes.insert(note) }
                }
                #expect(notes == (how == .end ? ["RESUME 1 3", "served on"] : ["RESUME 1 3", "served on", "closed"]))
                #expect(client.log.count("this one serves on") >= 1)
                #expect(client.log.count("session opened") == 1 && client.log.count("carrier lost") == 0)
                #expect(client.ends.all.isEmpty)
            }
        }

        @Test("a Close of the old carrier that comes before RESUMED is no farewell, even after a GOAWAY")
        func closeBeforeResumed() async throws {
            let (asked, closed) = (Gate(), Gate())
            let play = try Play([
                { peer, play in
                    try play.begin(peer)
                    try peer.send(WirePeer.goAway(.goingAway), .ping(1))
                    _ = try peer.frame(.pong)
                    try peer.send(WirePeer.renew())
                    asked.wait()
                    try peer.socket.send(peer.webSocketFrame(8, [3, 233]))
                    _ = try peer.toTheEnd()
                    closed.open()
                },
                { peer, play in
                    let resumption = try play.expectResume(peer)
                    asked.open()
                    closed.wait()
                    try peer.send(resumption.proved.resumed(received: 2), WirePeer.data("goes on"))
                    try Play.expectEcho("goes on", peer)
                    play.notes.put("echo")
                    _ = try peer.toTheEnd()
                },
            ])
            try await play.withClient { client in
                try await play.expect(["RESUME 1 3", "echo"])
                #expect(client.log.count("session opened") == 1)
            }
        }

        @Test("more than is kept aside while a carrier is made costs the old carrier, and neither session nor bytes")
        func tooMuchAside() async throws {
            let (asked, lost) = (Gate(), Gate())
            let piece = String(repeating: "x", count: 32_768)
            let play = try Play([
                { peer, play in
                    try play.begin(peer)
                    try peer.send(WirePeer.renew())
                    asked.wait()
                    // Streams that nobody knows any more: nothing of this is held against the peer's credit.
                    try peer.send(ResetCode.connectionReset.frame(StreamID(2)))
                    var sent = 1
                    while sent < 400, (try? peer.send(WirePeer.data(piece))) != nil { sent += 1 }
                    _ = try? peer.toTheEnd()
                    lost.open()
                },
                { peer, play in
                    let resumption = try play.expectResume(peer)
                    asked.open()
                    lost.wait()
                    try peer.send(resumption.proved.resumed(received: 2))
                    try peer.send(ResetCode.connectionReset.frame(StreamID(2)), WirePeer.open(4))
                    _ = try peer.frame(.accept)
                    play.notes.put("went on")
                    _ = try peer.toTheEnd()
                },
            ])
            try await play.withClient {
                // The dial must not be given up first.
                $0.clientLimits.hopTimeout = .seconds(60)
            } _: { client in
                try await play.expect(["RESUME 1 2", "went on"])
                #expect(client.log.count("session opened") == 1)
            }
        }

        @Test("RESUMED for a session that has ended meanwhile is answered with a goodbye, and the carrier closed")
        func resumedTooLate() async throws {
            let play = try Play([
                { peer, play in try play.begin(peer, grace: 1) },
                { peer, play in
                    let resumption = try play.expectResume(peer)
                    // The session's time without a carrier is the subject.
                    for _ in 0..<20 { pause() }
                    try peer.send(resumption.proved.resumed(received: 2))
                    let (code, frames, _) = try peer.toTheEnd()
                    play.notes.put("\(frames.map(\.header.type)) \(code?.description ?? "no Close")")
                },
                { peer, play in
                    try play.begin(peer)
                    play.notes.put("another session")
                    _ = try peer.toTheEnd()
                },
            ])
            try await play.withClient { client in
                let farewell = "\([FrameType.goAway]) \(CloseCode.goingAway.description)"
                try await play.expect(["RESUME 1 2"])
                // Two connections, either of which may come to its end first.
                let both = [try await play.notes.next("a goodbye"), try await play.notes.next("another session")]
                #expect(Set(both) == [farewell, "another session"])
                #expect(client.log.count("session opened") == 2 && client.log.count("session resumed") == 0)
            }
        }

        @Test("REFUSED replaced while a session waits: it is dialled again with a higher epoch, and goes on")
        func replacedWhileWaiting() async throws {
            let play = try Play([
                { peer, play in try play.begin(peer) },
                { peer, play in
                    _ = try play.expectResume(peer)
                    try peer.send(WirePeer.refused(.replaced))
                    _ = try peer.toTheEnd()
                },
                { peer, play in
                    let resumption = try play.expectResume(peer)
                    try peer.send(resumption.proved.resumed(received: 2), WirePeer.data("goes on"))
                    try Play.expectEcho("goes on", peer)
                    play.notes.put("echo")
                    _ = try peer.toTheEnd()
                },
            ])
            try await play.withClient { client in
                try await play.expect(["RESUME 1 2", "RESUME 2 2", "echo"])
                #expect(client.log.count("session opened") == 1)
            }
        }

        @Test(
            "N21 REFUSED credentials while a session waits is asked again after a minute, and ends a client that wants it",
            arguments: [false, true]
        )
        func refusedWhileWaiting(exits: Bool) async throws {
            let play = try Play([
                { peer, play in try play.begin(peer) },
                { peer, play in
                    _ = try play.expectResume(peer)
                    try peer.send(WirePeer.refused(.credentials))
                    _ = try peer.toTheEnd()
                },
            ])
            try await play.withClient(configure: { $0.exitsOnRefusal = exits }) { client in
                guard exits else {
                    try await eventually("the next try is a minute later") {
                        client.log.count("again_in=6") + client.log.count("again_in=7") == 1
                    }
                    return
                }
                let end = try await client.ends.next("the client ends")
                #expect(end.hasPrefix("refused: "), "\(end)")
            }
        }

        @Test("N20 carriers that close right after RESUMED cost two dials a second, and not the session")
        func closedAfterResumed() async throws {
            let play = try Play([
                { peer, play in try play.begin(peer) },
                { peer, play in
                    let resumption = try play.expectResume(peer)
                    try peer.send(resumption.proved.resumed(received: 2))
                },
            ])
            try await play.withClient { client in
                let start = ContinuousClock.now
                try await play.expect((1...6).map { "RESUME \($0) 2" })
                #expect(start.duration(to: .now) > .milliseconds(2_400))
                #expect(client.log.count("session opened") == 1 && client.log.count("session lost") == 0)
                #expect(client.ends.all.isEmpty)
            }
        }

        @Test("wishes for another carrier without end, from carrier to carrier, end the session as a flood")
        func renewFlood() async throws {
            let play = try Play([
                { peer, play in
                    try play.begin(peer)
                    try peer.send(WirePeer.renew())
                    _ = try peer.toTheEnd()
                },
                { peer, play in
                    let resumption = try play.expectResume(peer)
                    try peer.send(resumption.proved.resumed(received: 2), WirePeer.renew())
                    let frames = try peer.toTheEnd().frames
                    if let last = frames.last, last.header.type == .goAway {
                        play.notes.put("goaway \(try WirePeer.refusalCode(last))")
                    }
                },
            ])
            try await play.withClient { client in
                try await play.expect((1...10).map { "RESUME \($0) 2" } + ["goaway \(RefusalCode.limit)"])
            }
        }

        @Test(
            "N18 N22 a server that has forgotten the session resets its streams once, and another one begins on the same carrier"
        )
        func forgotten() async throws {
            let play = try Play([
                { peer, play in try play.begin(peer) },
                { peer, play in
                    let (welcome, _) = try peer.grantAnew()
                    try peer.send(welcome, WirePeer.bound(), WirePeer.open(2), WirePeer.data("anew"))
                    try Play.expectEcho("anew", peer)
                    play.notes.put("echo")
                    _ = try peer.toTheEnd()
                },
            ])
            try await play.withClient { client in
                try await play.expect(["echo"])
                #expect(client.log.count("session opened") == 2)
                #expect(client.log.count("reset by the other end") == 1)
                #expect(client.log.count("did not know the session any more") == 1)
            }
        }

        @Test("A5 a refusal whose sender leaves the connection open leaves none behind at the client")
        func refusedAndLeftOpen() async throws {
            let play = try Play([
                { peer, play in
                    var opening = ServerHandshake(nonce: randomBytes(32), software: "wire/1")
                    try peer.send(opening.challenge)
                    _ = try opening.receive(peer.frame(.authenticate))
                    try peer.send(WirePeer.refused(.busy))
                    _ = try peer.toTheEnd()
                    play.notes.put("closed")
                }
            ])
            let service = try TCPService.echo()
            try await RunningClient.with(.alice, play.server.port, "8022:127.0.0.1:\(service.port)") { _ in
                _ = try await play.notes.next("the client closes", within: .seconds(5))
            }
        }
    }
}
