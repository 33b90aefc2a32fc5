import Mux
import NIOCore
import TestSupport
import Testing
import WebSocket

extension HostileTests {
    /// Protocol violations of a hostile server. The client ends the session and dials again.
    @Suite(.serialized)
    struct ClientResistanceTests {
        /// An input that ends a session.
        struct Row: Sendable, CustomTestStringConvertible {
            let testDescription: String
            /// The bytes after WELCOME.
            let attack: @Sendable (WirePeer) throws -> [UInt8]
            /// The code of the client's Close.
            let code: CloseCode
            /// The code of its GOAWAY; nil if the violation is below the session protocol.
            var goAway: RefusalCode?

            init(
                _ name: String,
                _ code: CloseCode,
                _ goAway: RefusalCode? = nil,
                _ attack: @escaping @Sendable (WirePeer) throws -> [UInt8]
            ) {
                (testDescription, self.code, self.goAway, self.attack) = (name, code, goAway, attack)
            }

            /// Sends a binary message.
            init(_ name: String, _ code: CloseCode, _ goAway: RefusalCode? = nil, frame: [UInt8]) {
                self.init(name, code, goAway) { $0.webSocketFrame(2, frame) }
            }
        }

        static let rows = [
            Row("W18 a text message", .unsupportedData) { $0.webSocketFrame(1, [0x41]) },
            Row("W2 a masked frame", .protocolError) { _ in WirePeer.webSocketFrame(2, [0x41], isMasked: true) },
            Row("W6 an unknown opcode", .protocolError) { $0.webSocketFrame(3) },
            Row("W17 an empty message", .protocolError, .protocolViolation, frame: []),
            Row("M4 an unknown frame type", .protocolError, .protocolViolation, frame: [0x99, 0, 0, 0, 0, 0, 0, 0]),
            Row("M3 a set flag", .protocolError, .protocolViolation, frame: [0x23, 1, 0, 0, 0, 0, 0, 2]),
            Row("M5 an OPEN of stream 0", .protocolError, .protocolViolation, frame: [0x20, 0, 0, 0, 0, 0, 0, 0]),
            Row("M6 an OPEN with a client's number", .protocolError, .protocolViolation) {
                try $0.encode(WirePeer.open(3))
            },
            Row("M7 a second OPEN with one number", .protocolError, .protocolViolation) {
                try $0.encode(WirePeer.open(2)) + $0.encode(WirePeer.open(2))
            },
            Row("M16 DATA on a stream that was never opened", .protocolError, .protocolViolation) {
                try $0.encode(OutboundFrame(.data, StreamID(8), ByteBuffer(string: "x")))
            },
            Row("M1 a BIND", .protocolError, .protocolViolation) { try $0.encode(WirePeer.bindRequest(8_022)) },
            Row("M1 a second WELCOME", .protocolError, .protocolViolation) { try $0.encode(OutboundFrame(.welcome)) },
            Row("BOUND for a tunnel that was not requested", .protocolError, .protocolViolation) {
                try $0.encode(WirePeer.bound()) + $0.encode(WirePeer.bound())
            },
            Row("M23 a flood of PINGs", .policyViolation, .limit) { peer in
                try (0..<30).flatMap { try peer.encode(.ping($0)) }
            },
            Row("W27 a flood of WebSocket pings", .policyViolation) { peer in
                (0..<30).flatMap { _ in peer.webSocketFrame(9, [1]) }
            },
            Row("M9 a flood of OPENs beyond the limit", .policyViolation, .limit) { peer in
                try (1...400).flatMap { try peer.encode(WirePeer.open($0 * 2)) }
            },
        ]

        @Test("The client ends the session with the right code and dials again", arguments: rows)
        func violation(row: Row) async throws {
            let ends = Mailbox<(code: CloseCode?, goAway: RefusalCode?)>()
            let release = Gate()
            let service = try TCPService.silent(until: release)
            defer { release.open() }
            let server = try HostileServer { peer in
                try peer.socket.send(peer.encode(peer.grant()) + row.attack(peer))
                let (code, frames, _) = try peer.readToEnd()
                let last = try frames.last { $0.header.type == .goAway }.map(WirePeer.refusalCode)
                ends.put((code, last))
            }
            var limits = MuxLimits()
            limits.streams = 4
            try await server.withClient(to: service.port, limits: limits) { client in
                let first = try await ends.next("the client ends the session")
                #expect(first.code == row.code)
                #expect(first.goAway == row.goAway)
                let second = try await ends.next("the client dials again, and ends that session too")
                #expect(second.code == row.code)
                #expect(client.ends.all.isEmpty)
                #expect(client.log.count("session lost; dialling again") >= 1)
            }
        }

        @Test("M8 S1 a stream of an unknown tunnel is reset, and the session continues")
        func noSuchTunnel() async throws {
            try await withSession { peer in
                for (index, tunnel) in [UInt16(1), 2, 255, .max].enumerated() {
                    let stream = UInt32(index + 1) * 2
                    try peer.send(WirePeer.open(stream, tunnel: tunnel))
                    let reset = try peer.frame(.reset, .accept)
                    try require(reset.header == FrameHeader(.reset, StreamID(stream)), "\(reset.header)")
                    let code = try WirePeer.resetCode(reset)
                    try require(code == .noSuchTunnel, "\(code)")
                }
            }
        }

        @Test("M9 streams beyond the limit are reset as busy, and the others continue")
        func streamsBeyondTheLimit() async throws {
            var limits = MuxLimits()
            limits.streams = 4
            try await withSession(limits: limits) { peer in
                try peer.socket.send((1...12).flatMap { try peer.encode(WirePeer.open($0 * 2)) })
                var accepted: Set<StreamID> = []
                var busy = 0
                while accepted.count + busy < 12 {
                    let frame = try peer.frame(.accept, .reset)
                    if frame.header.type == .accept { accepted.insert(frame.header.stream) } else { busy += 1 }
                }
                try require(accepted == Set((1...4).map { StreamID($0 * 2) }), "accepted \(accepted)")
                try peer.send(OutboundFrame(.data, StreamID(8), ByteBuffer(string: "still here")))
                let echo = try peer.frame(.data)
                try require(echo.payload == ByteBuffer(string: "still here"), "\(echo)")
            }
        }

        @Test("A5 a WELCOME with a wrong proof ends the client as refused before any stream is opened")
        func wrongProof() async throws {
            let frames = Mailbox<(CloseCode?, [FrameType])>()
            let server = try HostileServer { peer in
                try peer.send(WirePeer.corrupted(peer.grant()), WirePeer.bound(), WirePeer.open(2))
                let (code, received, _) = try peer.readToEnd()
                frames.put((code, received.map(\.header.type)))
            }
            try await server.withClient { client in
                let end = try await client.ends.next("the client ends")
                #expect(end.hasPrefix("refused: "))
                #expect(end.contains("does not know the token"))
                let (code, types) = try await frames.next("the connection ends")
                #expect(code == .protocolError)
                #expect(types.isEmpty)
                #expect(server.dials == 1)
            }
        }

        /// Runs `script` in one session with a client whose service echoes. The session must survive it.
        private func withSession(
            limits: MuxLimits = MuxLimits(),
            _ script: @escaping @Sendable (WirePeer) throws -> Void
        ) async throws {
            let service = try TCPService.echo()
            let done = Mailbox<Void>()
            let server = try HostileServer { peer in
                try peer.send(peer.grant(), WirePeer.bound())
                try script(peer)
                try peer.send(.ping(77))
                while try peer.frame(.pong).payload != ByteBuffer(integer: UInt64(77)) {}
                done.put(())
            }
            try await server.withClient(to: service.port, limits: limits) { _ in
                try await eventually("the script ends") {
                    try require(server.failures.all.isEmpty, "\(server.failures.all)")
                    return !done.all.isEmpty
                }
            }
        }
    }
}
