import Foundation
import NIOCore
import TestSupport
import Testing

@testable import Mux
@testable import Tunnel

extension HostileTests {
    /// Who has proved nothing gets nothing, by whatever door.
    ///
    /// A21 (a wrong clock) cannot be tried: no message of the opening has a time in it, and `Mux` has no clock of its own;
    /// the wall clock decides about certificates and a client's `expires` alone.
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
                            try demand(["404", "405"].contains(status), "\(request)\n\(answer)")
                            try demand(!answer.contains("culvert"), answer)
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
                        try demand(code == .policyViolation, "\(code as Any)")
                        try demand(frames.allSatisfy { [.challenge, .refused].contains($0.header.type) }, "\(frames)")
                        try demand((try? TCPSocket(port: port)) == nil, "the port was bound")
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
                    try demand(try long.toTheEnd().code == .policyViolation, "4 KiB and a byte")
                    let compressed = try WirePeer.dial(server.port)
                    let frame = compressed.webSocketFrame(2, [2])
                    try compressed.socket.send([frame[0] | 0x40] + frame.dropFirst())
                    try demand(try compressed.toTheEnd().code == .protocolError, "RSV1")
                }
            }
        }

        @Test("A2 X3 as many strangers as there are places, and the next is told when to come back")
        func places() async throws {
            try await RunningServer.with({ $0.serverLimits.strangers = 3 }) { server in
                try await onThread {
                    let held = try (0..<3).map { _ in
                        let peer = try WirePeer.dial(server.port)
                        _ = try peer.frame(.challenge)
                        return peer
                    }
                    let next = try TCPSocket(port: server.port)
                    let answer = String(decoding: try next.drain().bytes, as: UTF8.self)
                    try demand(answer.hasPrefix("HTTP/1.1 503 ") && answer.contains("Retry-After: 2"), answer)
                    held[0].socket.abort()
                    // The place is given back a moment later.
                    while (try? WirePeer.dial(server.port).frame(.challenge)) == nil { TunnelTests.pause() }
                    withExtendedLifetime(held) {}
                }
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
                        try demand(refusal.code == expected, "\(name.debugDescription): \(refusal)")
                    }
                }
                #expect(!server.log.text.contains("\u{1B}"))
                #expect(server.log.count("fake") == 0)
            }
        }
    }
}
