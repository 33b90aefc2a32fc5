import Foundation
import NIOCore
import TestSupport
import Testing

@testable import Mux

extension HostileTests {
    /// Valid sessions with random mutations.
    @Suite(.serialized)
    struct MutationTests {
        private static let batches: UInt64 = 10
        private static let sessionsInBatch: UInt64 = 20

        @Test("200 mutated sessions leave no session, port or socket, and do not affect another client's streams")
        func mutatedSessions() async throws {
            let service = try TCPService.echo()
            let ports = try (0...Self.batches).map { _ in try FreePorts.next() }
            let own = ports[0]
            try await RunningServer.with { server in
                try await RunningClient.with(.bob, server.port, "\(own):127.0.0.1:\(service.port)") { client in
                    _ = try await client.tunnels.next("Bob's tunnel is public")
                    try await onThread { try Self.requireEcho(own) }
                    for batch in 1...Self.batches {
                        try await onThread {
                            for index in 0..<Self.sessionsInBatch {
                                try Self.attack(server.port, ports[Int(batch)], seed: batch << 32 | index)
                            }
                            try Self.requireEcho(own)
                        }
                    }
                    try await eventually("only Bob's session is left") { server.sessions == 1 }
                    // The sockets are the carrier, the public port and the endpoint.
                    let found: @Sendable () -> String = { "\((try? sockets([server.port] + ports)) ?? [])" }
                    try await eventually("the server holds three sockets", found: found) {
                        try sockets([server.port] + ports).count == 3
                    }
                    #expect(client.ends.all.isEmpty)
                    #expect(client.log.count("session lost") == 0)
                }
                try await eventually("no session is left") { server.sessions == 0 }
                try await onThread {
                    let peer = try WirePeer.session(server.port, .bob)
                    for (tunnel, port) in ports.enumerated() {
                        let refusal = try peer.bind(port, tunnel: UInt16(tunnel))
                        try require(refusal == nil, "port \(port) of batch \(tunnel) is still held: \(refusal as Any)")
                    }
                }
            }
        }

        /// Requires an echo through Bob's tunnel.
        private static func requireEcho(_ port: UInt16) throws {
            let visitor = try TCPSocket(port: port)
            let bytes = randomBytes(10_000)
            try visitor.send(bytes)
            try visitor.finishSending()
            try require(try visitor.receiveToEnd() == bytes, "Bob's echo is wrong")
        }

        /// Runs one mutated session with a visitor at `port`.
        private static func attack(_ endpoint: UInt16, _ port: UInt16, seed: UInt64) throws {
            var generator = SplitMix(state: seed)
            let peer = try WirePeer.session(endpoint, .alice, instance: UInt8(truncatingIfNeeded: seed))
            // The previous session's claim may not be released yet.
            let isBound = try peer.bind(port) == nil
            let visitor = isBound ? try TCPSocket(port: port) : nil
            let stream = isBound ? try peer.frame(.open).header.stream : StreamID(2)
            do {
                try peer.socket.send(mutated(traffic(stream), peer, &generator))
                if generator.next() % 4 == 0 { return peer.socket.abort() }
                try peer.socket.finishSending()
                _ = try peer.readToEnd()
            } catch let error as SocketError where error != .timedOut {
                // The server has closed the connection.
            } catch {
                throw ScenarioFailure(description: "seed \(seed): \(error)")
            }
            withExtendedLifetime(visitor) {}
        }

        /// Valid frames of a client after a visitor has connected on `stream`.
        private static func traffic(_ stream: StreamID) -> [[UInt8]] {
            let frames = [
                WirePeer.bindRequest(0, tunnel: 1), OutboundFrame(.accept, stream),
                OutboundFrame(.data, stream, ByteBuffer(string: "some bytes for the visitor")),
                OutboundFrame(.credit, stream, number: 131_072), OutboundFrame(.ping, number: 7),
                OutboundFrame(.ack, number: 2), OutboundFrame(.end, stream, number: 26),
                ResetCode.connectionReset.frame(StreamID(stream.rawValue + 2), after: 0),
                OutboundFrame(.pong, number: 1),
                WirePeer.goAway(.goingAway),
            ]
            return frames.map { frame in
                var bytes = ByteBuffer()
                frame.header.write(into: &bytes)
                bytes.writeImmutableBuffer(frame.payload)
                return Array(bytes.readableBytesView)
            }
        }

        /// Mutates frames inside valid messages, or the bytes of the WebSocket.
        private static func mutated(_ frames: [[UInt8]], _ peer: WirePeer, _ generator: inout SplitMix) -> [UInt8] {
            var frames = frames
            if Bool.random(using: &generator) {
                for _ in 0...2 {
                    let index = Int.random(in: 0..<frames.count, using: &generator)
                    mutate(&frames[index], &generator)
                    if generator.next() % 3 == 0 { frames.swapAt(index, 0) }
                    if generator.next() % 3 == 0 { frames.append(frames[index]) }
                }
                return frames.flatMap { peer.webSocketFrame(2, Array($0.prefix(125))) }
            }
            var wire = frames.flatMap { peer.webSocketFrame(2, $0) }
            for _ in 0...2 { mutate(&wire, &generator) }
            return wire
        }

        /// Changes, inserts, removes or repeats some bytes.
        private static func mutate(_ bytes: inout [UInt8], _ generator: inout SplitMix) {
            let start = Int.random(in: 0...bytes.count, using: &generator)
            let end = min(bytes.count, start + Int.random(in: 0...8, using: &generator))
            switch generator.next() % 4 {
            case 0:
                for index in start..<end { bytes[index] = UInt8.random(in: .min ... .max, using: &generator) }
            case 1: bytes.insert(UInt8.random(in: .min ... .max, using: &generator), at: start)
            case 2: bytes.removeSubrange(start..<end)
            default: bytes.insert(contentsOf: bytes[start..<end], at: start)
            }
        }
    }
}

/// The sockets with one of `ports` as their local port: the server's connections and listeners.
private func sockets(_ ports: [UInt16]) throws -> [String] {
    // Reads to the end, because the kernel returns one page per read.
    let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: "/proc/self/net/tcp"))
    let table = String(decoding: try file.readToEnd() ?? Data(), as: UTF8.self)
    return table.split(separator: "\n").dropFirst().compactMap { row in
        let fields = row.split(separator: " ")
        guard fields.count > 9, let port = UInt16(fields[1].suffix(4), radix: 16) else { return nil }
        return ports.contains(port) && fields[9] != "0" ? fields[1...3].joined(separator: " ") : nil
    }
}
