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
    /// Who has proved nothing gets nothing, by whatever door.
    ///
    /// A21 (a wrong clock) cannot be tried: no message of the opening has a time in it, and `Mux` has no clock of its own;
    /// the wall clock decides about certificates and a client's `expires` alone. A1 (the time that a comparison takes)
    /// drowns in a socket's own: that every byte is looked at is tested beside the comparison. A7 (a token in a URL) has
    /// no wire: no URL with one is ever dialled, as the command line's tests show.
    @Suite(.serialized)
    struct StrangerTests {
        @Test(
            "A13 nothing but the endpoint answers, whatever the path and whoever asks",
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

        @Test("A12 A14 frames of a session before the proof bind nothing, open nothing, and end the connection")
        func framesBeforeProof() async throws {
            try await RunningServer.with { server in
                let port = try FreePorts.next()
                let attacks: [@Sendable (WirePeer) throws -> [OutboundFrame]] = [
                    { _ in [WirePeer.bindRequest(port)] },
                    { peer in [WirePeer.spoiled(try peer.authentication(.alice).frame), WirePeer.bindRequest(port)] },
                    { _ in [OutboundFrame(.data, StreamID(2), ByteBuffer(string: "x"))] },
                    { _ in [.ping(1)] },
                    { _ in [WirePeer.goAway(.goingAway)] },
                ]
                try await onThread {
                    for attack in attacks {
                        let peer = try WirePeer.dial(server.port)
                        try peer.socket.send(try attack(peer).flatMap { try peer.encode($0) })
                        let (code, frames, _) = try peer.toTheEnd()
                        try require(code == .policyViolation, "\(code as Any)")
                        try require(frames.allSatisfy { [.challenge, .refused].contains($0.header.type) }, "\(frames)")
                        try require((try? TCPSocket(port: port)) == nil, "the port was bound")
                    }
                }
                #expect(server.log.count("session opened") == 0)
                #expect(server.log.count("port is public") == 0)
            }
        }

        @Test("A14 a stranger's frame above 4 KiB, or a compressed one, is refused before it is read")
        func strangersFrames() async throws {
            try await RunningServer.with { server in
                try await onThread {
                    let long = try WirePeer.dial(server.port)
                    try long.send(OutboundFrame(.authenticate, .session, ByteBuffer(repeating: 0, count: 4_097)))
                    try require(try long.toTheEnd().code == .policyViolation, "4 KiB and a byte")
                    let compressed = try WirePeer.dial(server.port)
                    let frame = compressed.webSocketFrame(2, [2])
                    try compressed.socket.send([frame[0] | 0x40] + frame.dropFirst())
                    try require(try compressed.toTheEnd().code == .protocolError, "RSV1")
                }
            }
        }

        @Test("A3 A6 a proof that was seen once opens nothing on another connection, nor does a server's own")
        func replay() async throws {
            try await RunningServer.with { server in
                try await onThread {
                    let first = try WirePeer.dial(server.port)
                    var (opening, captured) = try first.authentication(.alice)
                    try first.send(captured)
                    let welcome = try first.frame(.welcome)
                    guard case .established = try opening.receive(welcome) else {
                        throw ScenarioFailure(description: "the right proof was refused")
                    }
                    // Word for word, and with the server's proof in place of the client's.
                    let bytes = Array(captured.payload.readableBytesView.dropLast(32))
                    let reflected = bytes + welcome.payload.readableBytesView.suffix(32)
                    for payload in [captured.payload, ByteBuffer(bytes: reflected)] {
                        let second = try WirePeer.dial(server.port)
                        _ = try second.frame(.challenge)
                        try second.send(OutboundFrame(.authenticate, .session, payload))
                        let refused = try second.frame(.welcome, .refused)
                        try require(refused.header.type == .refused, "a proof was good twice")
                        let code = try WirePeer.refusalCode(refused)
                        try require(code == .credentials, "\(code)")
                    }
                    try first.goodbye()
                }
                #expect(server.log.count("session opened") == 1)
            }
        }

        @Test("A4 A5 who answers in the server's place sees neither token nor key, and opens nothing")
        func rogueServer() async throws {
            let seen = Mailbox<[UInt8]>()
            let server = try HostileServer { peer in
                var opening = ServerHandshake(nonce: randomBytes(32), software: "wire/1")
                try peer.send(opening.challenge)
                guard case .verify = try opening.receive(peer.frame(.authenticate)) else {
                    throw ScenarioFailure(description: "the client did not authenticate")
                }
                // All that it can do without the verifier is to guess.
                let guess = ServerHandshake.Verified.guessed
                try peer.send(guess)
                _ = try peer.toTheEnd()
                seen.put(peer.raw)
            }
            try await server.withClient { client in
                let bytes = try await seen.next("the client has gone")
                let secrets = [
                    Array("the token of alice, long enough".utf8), Identity.alice.credentials.clientKey.bytes,
                    Identity.alice.credentials.verifier.storedKey, Identity.alice.credentials.verifier.serverKey,
                ]
                for secret in secrets { #expect(bytes.firstRange(of: secret) == nil) }
                #expect(client.tunnels.all.isEmpty)
                #expect(try await client.ends.next("the client ends").contains("refused"))
            }
        }

        @Test("A2 X3 beyond the places for strangers one is told when to come back, or has a silent one's place")
        func places() async throws {
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

        @Test("a known client whose carrier is cut comes back while strangers take every place and the whole rate")
        func knownClient() async throws {
            try await RunningServer.with({
                $0.serverLimits.connectionsPerSecond = 100
                $0.limits.grace = .seconds(60)
            }) { server in
                let isOver = Gate()
                let flood = Task {
                    try await onThread {
                        // Plain upgrades that say nothing more, three hundred a second.
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
                        try await eventually("it is back, time \(round)", within: .seconds(8)) {
                            client.log.count("session resumed") == round
                        }
                    }
                    #expect(client.log.count("session lost") == 0)
                }
                isOver.open()
                _ = try await flood.value
            }
        }

        @Test("P16 five hundred bad requests cost twenty lines of log, and the next says how many there were")
        func logFlood() async throws {
            try await RunningServer.with { server in
                try await onThread {
                    for _ in 0..<500 {
                        let socket = try TCPSocket(port: server.port)
                        try socket.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                        _ = try socket.drain()
                    }
                }
                // A window of ten seconds may begin meanwhile.
                let lines = server.log.count("request refused")
                #expect(lines >= 20 && lines <= 40)
            }
        }

        @Test("P15 a client's name with control characters is refused, and nothing of it gets into the log")
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
    /// A WELCOME by somebody who does not know the verifier.
    fileprivate static var guessed: OutboundFrame {
        var fields = Welcome(session: randomBytes(16), initialWindow: 65_536, grace: 120).unproved
        fields.append(FieldReader.proofTag, randomBytes(32))
        return OutboundFrame(.welcome, .session, fields.bytes)
    }
}
