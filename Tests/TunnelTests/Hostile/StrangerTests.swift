import Foundation
import NIOCore
import TestSupport
import Testing

@testable import Mux
@testable import TunnelAdmin
@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer

extension HostileTests {
    /// Strangers get no access.
    ///
    /// Three codes have no test here. A21: no message of the handshake contains a time, and `Mux` has no clock. A1: a
    /// socket hides the time of a comparison, which the tests of the comparison cover. A7: a URL with a token is never
    /// dialled, as the tests of the command line show.
    @Suite(.serialized)
    struct StrangerTests {
        @Test(
            "A13 only the tunnel's path answers, and all other paths get a constant error",
            arguments: [
                "/", "/metrics", "/healthz", "/readyz", "/status", "/kick?name=alice", "/tunnel/", "//tunnel",
                "/tunnel/metrics", "/_tunnel", "/admin", "/.well-known/x", "/%74unnel", "/TUNNEL",
            ]
        )
        func otherPaths(path: String) async throws {
            try await RunningServer.with { server in
                try await onThread {
                    for method in ["GET", "POST", "HEAD"] {
                        let upgrade = WirePeer.upgradeRequest.replacing("GET /tunnel ", with: "\(method) \(path) ")
                        for request in ["\(method) \(path) HTTP/1.1\r\nHost: localhost\r\n\r\n", upgrade] {
                            let socket = try TCPSocket(port: server.port)
                            try socket.send(request)
                            let answer = String(decoding: try socket.drain().bytes, as: UTF8.self)
                            let status = answer.split(separator: " ").dropFirst().first ?? ""
                            try require(["404", "405"].contains(status), "\(request)\n\(answer)")
                            try require(!answer.contains("culvert"), answer)
                        }
                    }
                }
            }
        }

        @Test("A12 A14 session frames before the proof bind and open nothing, and end the connection")
        func framesBeforeProof() async throws {
            try await RunningServer.with { server in
                let port = try FreePorts.next()
                let attacks: [@Sendable (WirePeer) throws -> [OutboundFrame]] = [
                    { _ in [WirePeer.bindRequest(port)] },
                    { peer in [WirePeer.corrupted(try peer.authentication(.alice).frame), WirePeer.bindRequest(port)] },
                    { _ in [OutboundFrame(.data, StreamID(2), ByteBuffer(string: "x"))] },
                    { _ in [.ping(1)] },
                    { _ in [WirePeer.goAway(.goingAway)] },
                ]
                try await onThread {
                    for attack in attacks {
                        let peer = try WirePeer.dial(server.port)
                        try peer.socket.send(try attack(peer).flatMap { try peer.encode($0) })
                        let (code, frames, _) = try peer.readToEnd()
                        try require(code == .policyViolation, "\(code as Any)")
                        try require(frames.allSatisfy { [.challenge, .refused].contains($0.header.type) }, "\(frames)")
                        try require((try? TCPSocket(port: port)) == nil, "the port was bound")
                    }
                }
                #expect(server.log.count("session opened") == 0)
                #expect(server.log.count("port is public") == 0)
            }
        }

        @Test("A14 a stranger's frame above 4 KiB, or a compressed one, is refused at its header")
        func strangersFrames() async throws {
            try await RunningServer.with { server in
                try await onThread {
                    let long = try WirePeer.dial(server.port)
                    try long.send(OutboundFrame(.authenticate, .session, ByteBuffer(repeating: 0, count: 4_097)))
                    try require(try long.readToEnd().code == .policyViolation, "4 KiB and a byte")
                    let compressed = try WirePeer.dial(server.port)
                    let frame = compressed.webSocketFrame(2, [2])
                    try compressed.socket.send([frame[0] | 0x40] + frame.dropFirst())
                    try require(try compressed.readToEnd().code == .protocolError, "RSV1")
                }
            }
        }

        @Test("A3 A6 a replayed proof, or the server's own proof, opens no session on another connection")
        func replay() async throws {
            try await RunningServer.with { server in
                try await onThread {
                    let first = try WirePeer.dial(server.port)
                    var (handshake, captured) = try first.authentication(.alice)
                    try first.send(captured)
                    let welcome = try first.frame(.welcome)
                    guard case .established = try handshake.receive(welcome) else {
                        throw ScenarioFailure(description: "the valid proof was refused")
                    }
                    // Sends the same bytes, and then the server's proof in place of the client's.
                    let bytes = Array(captured.payload.readableBytesView.dropLast(32))
                    let reflected = bytes + welcome.payload.readableBytesView.suffix(32)
                    for payload in [captured.payload, ByteBuffer(bytes: reflected)] {
                        let second = try WirePeer.dial(server.port)
                        _ = try second.frame(.challenge)
                        try second.send(OutboundFrame(.authenticate, .session, payload))
                        let refused = try second.frame(.welcome, .refused)
                        try require(refused.header.type == .refused, "a proof was accepted twice")
                        let code = try WirePeer.refusalCode(refused)
                        try require(code == .credentials, "\(code)")
                    }
                    try first.endSession()
                }
                #expect(server.log.count("session opened") == 1)
            }
        }

        @Test("A4 A5 a rogue server receives neither token nor key, and opens no tunnel")
        func rogueServer() async throws {
            let seen = Mailbox<[UInt8]>()
            let server = try HostileServer { peer in
                var handshake = ServerHandshake(nonce: randomBytes(32), software: "wire/1")
                try peer.send(handshake.challenge)
                guard case .verify = try handshake.receive(peer.frame(.authenticate)) else {
                    throw ScenarioFailure(description: "the client did not authenticate")
                }
                // Without the verifier it can only guess the proof.
                let guess = ServerHandshake.Verified.guessed
                try peer.send(guess)
                _ = try peer.readToEnd()
                seen.put(peer.raw)
            }
            try await server.withClient { client in
                let bytes = try await seen.next("the client has disconnected")
                let secrets = [
                    Array("the token of alice, long enough".utf8), Identity.alice.credentials.clientKey.bytes,
                    Identity.alice.credentials.verifier.storedKey, Identity.alice.credentials.verifier.serverKey,
                ]
                for secret in secrets { #expect(bytes.firstRange(of: secret) == nil) }
                #expect(client.tunnels.all.isEmpty)
                #expect(try await client.ends.next("the client ends").contains("refused"))
            }
        }

        @Test("A2 X3 a stranger beyond the slots is refused with a delay, or replaces a silent one")
        func slots() async throws {
            try await RunningServer.with({ $0.serverLimits.strangers = 3 }) { server in
                try await onThread {
                    let held = try (0..<3).map { _ in
                        let peer = try WirePeer.dial(server.port)
                        _ = try peer.frame(.challenge)
                        return peer
                    }
                    for _ in 0..<40 {
                        let next = try TCPSocket(port: server.port)
                        try next.send(WirePeer.upgradeRequest)
                        let answer = String(decoding: try next.receive(), as: UTF8.self)
                        let isRefused = answer.hasPrefix("HTTP/1.1 503 ") && answer.contains("Retry-After: 2")
                        try require(isRefused || answer.hasPrefix("HTTP/1.1 101 "), answer)
                        next.abort()
                    }
                    for peer in held { peer.socket.abort() }
                    while (try? WirePeer.dial(server.port).frame(.challenge)) == nil { TunnelTests.pause() }
                }
            }
        }

        @Test("A known client reconnects while strangers use all slots and the whole rate")
        func knownClient() async throws {
            try await RunningServer.with({
                $0.serverLimits.connectionsPerSecond = 100
                $0.limits.grace = .seconds(60)
            }) { server in
                let isOver = Gate()
                let flood = Task {
                    try await onThread {
                        // Sends 300 upgrades a second that stay silent.
                        var sockets: [TCPSocket] = []
                        while !isOver.isOpen {
                            if let socket = try? TCPSocket(port: server.port) {
                                try? socket.send(WirePeer.upgradeRequest)
                                sockets.append(socket)
                                if sockets.count > 2_000 { sockets.removeFirst().close() }
                            }
                            Thread.sleep(forTimeInterval: 0.003)
                        }
                        for socket in sockets { socket.close() }
                    }
                }
                defer { isOver.open() }
                let service = try TCPService.echo()
                let relay = try FaultRelay(to: server.port)
                try await RunningClient.with(.alice, relay.port, "0:127.0.0.1:\(service.port)") { client in
                    try await eventually("strangers are refused") { server.log.count("session opened") == 1 }
                    for round in 1...5 {
                        relay.cut(.reset)
                        try await eventually("the client has reconnected, round \(round)", within: .seconds(8)) {
                            client.log.count("session resumed") == round
                        }
                    }
                    #expect(client.log.count("session lost") == 0)
                }
                isOver.open()
                _ = try await flood.value
            }
        }

        @Test("P16 500 bad requests cause 20 log lines, and the next line has the number of omitted ones")
        func logFlood() async throws {
            try await RunningServer.with { server in
                try await onThread {
                    for _ in 0..<500 {
                        let socket = try TCPSocket(port: server.port)
                        try socket.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                        _ = try socket.drain()
                    }
                }
                // A second window of 10 s may begin during the test.
                let lines = server.log.count("request refused")
                #expect(lines >= 20 && lines <= 40)
            }
        }

        @Test("P15 a client's name with control characters is refused and is not logged")
        func hostileName() async throws {
            try await RunningServer.with { server in
                try await onThread {
                    for (name, expected) in [
                        ("a\u{1B}[31m", RefusalCode.protocolViolation), ("a\nfake", .protocolViolation),
                        ("a\u{0}cdef", .protocolViolation), ("abcdef", .credentials),
                    ] {
                        let peer = try WirePeer.dial(server.port)
                        let frame = try peer.authentication(.alice, name: "ABCDEF").frame
                        var bytes = Array(frame.payload.readableBytesView)
                        bytes.replace(Array("ABCDEF".utf8), with: Array(name.utf8))
                        try peer.send(OutboundFrame(.authenticate, .session, ByteBuffer(bytes: bytes)))
                        let refusal = try Refusal(peer.frame(.refused, .welcome).payload, of: .refused)
                        try require(refusal.code == expected, "\(name.debugDescription): \(refusal)")
                    }
                }
                #expect(!server.log.text.contains("\u{1B}"))
                #expect(server.log.count("fake") == 0)
            }
        }
    }
}

extension ServerHandshake.Verified {
    /// A WELCOME with a random proof.
    fileprivate static var guessed: OutboundFrame {
        var fields = Welcome(session: randomBytes(16), initialWindow: 65_536, grace: 120).unproved
        fields.append(FieldReader.proofTag, randomBytes(32))
        return OutboundFrame(.welcome, .session, fields.bytes)
    }
}
