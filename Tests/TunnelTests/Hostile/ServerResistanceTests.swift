import NIOCore
import TestSupport
import Testing
import WebSocket

@testable import Mux
@testable import TunnelAdmin
@testable import TunnelClient
@testable import TunnelCore

extension HostileTests {
    /// Protocol violations of a hostile client. The server ends that session with a reason, and other sessions
    /// continue.
    ///
    /// A client cannot try M7 and M8, because only the server opens streams. MuxTests have bad stream numbers, and
    /// ``ClientResistanceTests`` have those of a hostile server.
    @Suite(.serialized)
    struct ServerResistanceTests {
        /// An input that ends a session.
        struct Row: Sendable, CustomTestStringConvertible {
            let testDescription: String
            /// The code of the server's Close.
            let code: CloseCode
            /// The code of its GOAWAY; nil if the violation is below the session protocol.
            let goAway: RefusalCode?
            /// The bytes after a visitor's stream has been accepted.
            let attack: @Sendable (WirePeer, StreamID) throws -> [UInt8]

            init(
                _ name: String,
                _ code: CloseCode,
                _ goAway: RefusalCode? = nil,
                _ attack: @escaping @Sendable (WirePeer, StreamID) throws -> [UInt8]
            ) {
                (testDescription, self.code, self.goAway, self.attack) = (name, code, goAway, attack)
            }

            /// Sends frames `count` times that violate the protocol or exceed a limit.
            init(_ name: String, count: Int = 1, _ frames: @escaping @Sendable (StreamID) -> [OutboundFrame]) {
                let isFlood = count > 1
                self.init(
                    name,
                    isFlood ? .policyViolation : .protocolError,
                    isFlood ? .limit : .protocolViolation
                ) { peer, stream in
                    let once = frames(stream)
                    return try (0..<count).flatMap { _ in try once.flatMap { try peer.encode($0) } }
                }
            }

            /// Sends a binary message.
            init(_ name: String, bytes: [UInt8]) {
                self.init(name, .protocolError, .protocolViolation) { peer, _ in peer.webSocketFrame(2, bytes) }
            }
        }

        static let rows = [
            Row("M1 a second AUTHENTICATE") { _ in [OutboundFrame(.authenticate)] },
            Row("M1 a RESUME in the session") { _ in [OutboundFrame(.resume)] },
            Row("M1 M6 a WELCOME, which only servers send") { _ in [OutboundFrame(.welcome)] },
            Row("M1 M6 a BOUND, which only servers send") { _ in [WirePeer.bound()] },
            Row("M3 a frame shorter than its header", bytes: [0x22, 0, 0]),
            Row("M3 a set flag", bytes: [0x23, 1, 0, 0, 0, 0, 0, 2]),
            Row("M3 a reserved bit", bytes: [0x23, 0, 0x80, 0, 0, 0, 0, 2]),
            Row("M3 an END with a payload", bytes: [0x23, 0, 0, 0, 0, 0, 0, 2, 1]),
            Row("M4 an unknown type", bytes: [0x99, 0, 0, 0, 0, 0, 0, 0]),
            Row("M5 DATA on stream 0", bytes: [0x22, 0, 0, 0, 0, 0, 0, 0, 1]),
            Row("M5 M23 a PING on a stream", bytes: [0x30, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0]),
            Row("M6 an OPEN, which only servers send") { _ in [WirePeer.open(3)] },
            Row("M11 one byte beyond the window") { stream in
                [OutboundFrame(.data, stream, ByteBuffer(repeating: 1, count: 16_385))]
            },
            Row("M12 credit beyond the maximum") { stream in [OutboundFrame(.credit, stream, number: .max)] },
            Row("M12 credit on a stream that was never opened") { _ in
                [OutboundFrame(.credit, StreamID(1_000), number: 1)]
            },
            Row("M13 repeated useless credit", count: 300) { stream in
                [OutboundFrame(.credit, stream, number: 65_536)]
            },
            Row("M16 DATA on a stream that was never opened") { _ in
                [OutboundFrame(.data, StreamID(1_000), ByteBuffer(string: "x"))]
            },
            Row("M17 repeated END", count: 300) { stream in [OutboundFrame(.end, stream)] },
            Row("M18 repeated empty DATA", count: 300) { stream in [OutboundFrame(.data, stream)] },
            Row("M19 DATA above 65,280 bytes") { stream in
                [OutboundFrame(.data, stream, ByteBuffer(repeating: 1, count: 65_281))]
            },
            Row("M19 a message above the longest frame", .messageTooBig) { peer, stream in
                try peer.encode(OutboundFrame(.data, stream, ByteBuffer(repeating: 1, count: 65_530)))
            },
            Row("M21 a second ACCEPT") { stream in [OutboundFrame(.accept, stream)] },
            Row("M21 an ACCEPT of a stream that was never opened") { _ in [OutboundFrame(.accept, StreamID(1_000))] },
            Row(
                "M23 a PING with a long payload",
                bytes: [0x30, 0, 0, 0, 0, 0, 0, 0] + [UInt8](repeating: 0, count: 9)
            ),
            Row("M23 a flood of PINGs", count: 30) { _ in [.ping(7)] },
            Row("M30 a flood of BINDs", count: 1_400) { _ in [WirePeer.bindRequest(1, tunnel: 900)] },
            Row("M30 a BIND of a bound tunnel") { _ in [WirePeer.bindRequest(1)] },
            Row("M30 a BIND with an address that is not text", bytes: [0x10, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1, 7]),
        ]

        @Test(
            "The session ends with the right code, its visitor is reset, and another client's stream continues",
            arguments: rows
        )
        func violation(row: Row) async throws {
            try await RunningServer.with({ $0.limits.initialWindow = 16_384 }) { server in
                try await onThread {
                    let other = try ManualTunnel(server.port, .bob)
                    let attacked = try ManualTunnel(server.port, .alice)
                    try attacked.peer.socket.send(try row.attack(attacked.peer, attacked.stream))
                    let (code, frames, _) = try attacked.peer.readToEnd()
                    try require(code == row.code, "closed with \(code as Any)")
                    let last = try frames.last { $0.header.type == .goAway }.map(WirePeer.refusalCode)
                    try require(last == row.goAway, "GOAWAY \(last as Any)")
                    if try attacked.visitor.drain().ending == .end {
                        // After an END the visitor has seen FIN, so the reset shows only when the visitor sends.
                        while (try? attacked.visitor.send("x")) != nil { pause() }
                    }
                    try other.requireBothDirections()
                }
            }
        }

        @Test("M24 after two GOAWAYs no stream is opened, and existing ones finish")
        func goAway() async throws {
            try await RunningServer.with { server in
                try await onThread {
                    let tunnel = try ManualTunnel(server.port, .alice)
                    try tunnel.peer.send(WirePeer.goAway(.goingAway), WirePeer.goAway(.goingAway))
                    try tunnel.requireBothDirections()
                    // The listener is closed, and a visitor that was accepted before is reset.
                    let late = try? TCPSocket(port: tunnel.port).drain()
                    try require(late == nil || late?.ending == .reset, "\(late as Any)")
                    try tunnel.visitor.finishSending()
                    try tunnel.peer.send(OutboundFrame(.end, tunnel.stream))
                    let (_, frames, _) = try tunnel.peer.readToEnd()
                    try require(!frames.contains { $0.header.type == .open }, "a stream was opened")
                    try require(try tunnel.visitor.drain().ending == .end, "no FIN")
                }
            }
        }

        @Test("M14 M15 a client that grants no credit stops only that stream")
        func noCredit() async throws {
            try await RunningServer.with { server in
                try await onThread {
                    let tunnel = try ManualTunnel(server.port, .alice)
                    let stalled = try TCPSocket(port: tunnel.port)
                    let id = try tunnel.accept()
                    let chunk = [UInt8](repeating: 7, count: 65_536)
                    _ = try stalled.sendUntilStalled(chunk, timeout: .milliseconds(200), limit: 1 << 26)
                    var received = 0
                    try tunnel.peer.send(.ping(4))
                    while true {
                        let frame = try tunnel.peer.frame(.data, .pong)
                        if frame.header.type == .pong { break }
                        try require(frame.header.stream == id, "DATA on \(frame.header.stream)")
                        received += frame.payload.readableBytes
                    }
                    try require(received <= 65_536, "\(received) bytes without credit")
                    try tunnel.requireBothDirections()
                    stalled.abort()
                }
            }
        }

        @Test("M20 a stream that the client never accepts is reset after the configured time, and so is the visitor")
        func unacceptedStream() async throws {
            try await RunningServer.with({ $0.limits.openTimeout = .milliseconds(300) }) { server in
                try await onThread {
                    let tunnel = try ManualTunnel(server.port, .alice)
                    let visitor = try TCPSocket(port: tunnel.port)
                    let id = try tunnel.peer.frame(.open).header.stream
                    let reset = try tunnel.peer.frame(.reset)
                    try require(reset.header.stream == id, "\(reset.header)")
                    try require(try WirePeer.resetCode(reset) == .timeout, "\(reset)")
                    try require(try visitor.drain().ending == .reset, "the visitor was not reset")
                    try tunnel.requireBothDirections()
                }
            }
        }

        @Test("M9 M22 a stream that has ended in both directions frees its slot for a waiting visitor")
        func slotOfEndedStream() async throws {
            try await RunningServer.with({ $0.limits.streams = 1 }) { server in
                try await onThread {
                    let tunnel = try ManualTunnel(server.port, .alice)
                    let next = try TCPSocket(port: tunnel.port)
                    try tunnel.peer.send(.ping(4))
                    let frame = try tunnel.peer.frame(.open, .pong)
                    try require(frame.header.type == .pong, "a second stream beyond the limit")
                    try tunnel.visitor.finishSending()
                    try tunnel.peer.send(OutboundFrame(.end, tunnel.stream))
                    try require(
                        try tunnel.peer.frame(.open).header.stream != tunnel.stream,
                        "a stream number was reused"
                    )
                    withExtendedLifetime(next) {}
                }
            }
        }

        @Test("M26 M28 crossing bytes and resets in both directions end only their streams", arguments: 0..<4)
        func crossing(order: Int) async throws {
            try await RunningServer.with { server in
                try await onThread {
                    let tunnel = try ManualTunnel(server.port, .alice)
                    for _ in 0..<25 {
                        let visitor = try TCPSocket(port: tunnel.port)
                        let id = try tunnel.accept()
                        let data = OutboundFrame(.data, id, ByteBuffer(repeating: 1, count: 10_000))
                        let burst = try [
                            data, data, data, OutboundFrame(.end, id), ResetCode.connectionReset.frame(id, after: .max),
                            data,
                        ]
                        .flatMap { try tunnel.peer.encode($0) }
                        try visitor.send([UInt8](repeating: 2, count: 10_000))
                        if order & 1 == 0 { visitor.abort() }
                        try tunnel.peer.socket.send(order & 2 == 0 ? burst : Array(burst.prefix(35_000)))
                        if order & 2 != 0 { try tunnel.peer.socket.send(Array(burst.dropFirst(35_000))) }
                        if order & 1 != 0 { visitor.abort() }
                    }
                    try tunnel.requireBothDirections()
                }
                try await eventually("no session is left") { server.sessions == 0 }
                #expect(server.log.count("broke") == 0)
            }
        }

        @Test("M27 single bytes on many streams all arrive, and streams are served in turn")
        func singleBytes() async throws {
            try await RunningServer.with { server in
                try await onThread {
                    let tunnel = try ManualTunnel(server.port, .alice)
                    var visitors: [(socket: TCPSocket, id: StreamID)] = []
                    for _ in 0..<20 { visitors.append((try TCPSocket(port: tunnel.port), try tunnel.accept())) }
                    var wire: [UInt8] = []
                    for byte in UInt8(0)..<100 {
                        for visitor in visitors {
                            wire += try tunnel.peer.encode(OutboundFrame(.data, visitor.id, ByteBuffer(bytes: [byte])))
                        }
                    }
                    try tunnel.peer.socket.send(wire)
                    for visitor in visitors {
                        try require(try visitor.socket.receive(exactly: 100) == Array(0..<100), "bytes are lost")
                    }
                }
            }
        }

        @Test("M29 a session that ends during 128 transfers resets each visitor")
        func endInMidTransfer() async throws {
            try await RunningServer.with { server in
                try await onThread {
                    let tunnel = try ManualTunnel(server.port, .alice)
                    let visitors = try (0..<128).map { _ in try TCPSocket(port: tunnel.port) }
                    for visitor in visitors {
                        let id = try tunnel.accept()
                        try tunnel.peer.send(OutboundFrame(.data, id, ByteBuffer(string: "begun")))
                        try visitor.send("begun")
                    }
                    // Violates the protocol, because a lost carrier alone would not end the session.
                    try tunnel.peer.send(OutboundFrame(.welcome))
                    for visitor in visitors {
                        let end = try visitor.drain()
                        try require(end.ending == .reset, "\(end)")
                    }
                }
                try await eventually("no session is left") { server.sessions == 0 }
            }
        }
    }
}

extension HostileTests {
    /// A manual client, its public port, and a visitor whose stream is accepted.
    final class ManualTunnel {
        let peer: WirePeer
        let port: UInt16
        let visitor: TCPSocket
        private(set) var stream = StreamID.session

        init(_ server: UInt16, _ identity: Identity) throws {
            peer = try WirePeer.session(server, identity)
            port = try FreePorts.next()
            let refusal = try peer.bind(port)
            try require(refusal == nil, "the port was refused: \(refusal as Any)")
            visitor = try TCPSocket(port: port)
            stream = try accept()
        }

        /// Accepts the next stream.
        func accept() throws -> StreamID {
            let id = try peer.frame(.open).header.stream
            try peer.send(OutboundFrame(.accept, id))
            return id
        }

        /// Requires that bytes arrive in both directions.
        func requireBothDirections() throws {
            try peer.send(OutboundFrame(.data, stream, ByteBuffer(string: "down")))
            try require(try visitor.receive(exactly: 4) == Array("down".utf8), "bytes of another stream")
            try visitor.send("up")
            while true {
                let frame = try peer.frame(.data)
                guard frame.header.stream == stream else { continue }
                return try require(frame.payload == ByteBuffer(string: "up"), "\(frame)")
            }
        }
    }
}
