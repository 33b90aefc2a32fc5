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
    /// The memory budget compared with the resident memory of a server, for each kind of buffer.
    @Suite(.serialized)
    struct ResidentMemoryTests {
        /// A server in its own process, and its memory since the start.
        private struct Server: Sendable {
            let process: ChildProcess
            let port: UInt16
            let admin: UInt16
            let base: (resident: Int, counted: Int)

            static func with(_ limits: String = "", _ body: @Sendable (Server) async throws -> Void) async throws {
                try await Scenario.run { scenario in
                    let token = "\(scenario.directory)/alice"
                    try Data("the token of alice, long enough".utf8).write(to: URL(fileURLWithPath: token))
                    let file = "\(scenario.directory)/server.toml"
                    let many =
                        "strangers = 10000\nstrangers_per_address = 10000\nconnections_per_second = 100000\n"
                        + "sessions_per_client = 100000\nports_per_client = 65535\ngrace = 600\n"
                    try scenario.write("[limits]\n\(many)\(limits)\n", to: file)
                    let admin = try FreePorts.next()
                    let running = try await scenario.server(
                        options: ["--token-file", token, "--config", file, "--admin", "127.0.0.1:\(admin)"]
                    )
                    // Uses each feature once first, so that one-time allocations are in the baseline.
                    let first = try await onThread {
                        let peer = NonSendable(try WirePeer.session(running.port, .alice))
                        _ = try peer.value.bind(FreePorts.next())
                        return peer
                    }
                    let base = try (running.process.residentBytes, counted(admin))
                    try await body(Server(process: running.process, port: running.port, admin: admin, base: base))
                    _ = first
                }
            }

            private static func counted(_ admin: UInt16) throws -> Int {
                let text = try TCPSocket(port: admin).request("GET", "/metrics").body
                let line = text.split(separator: "\n").first { $0.hasPrefix("culvert_memory_bytes ") }
                guard let number = line?.split(separator: " ").last.flatMap({ Double($0) }) else {
                    throw ScenarioFailure(description: "no culvert_memory_bytes in \(text)")
                }
                return Int(number)
            }

            /// The growth of both since the baseline.
            func growth() throws -> (resident: Int, counted: Int) {
                (try process.residentBytes - base.resident, try Self.counted(admin) - base.counted)
            }

            /// Expects that resident memory grows by at most 1.25× the budget and 8 MiB. The budget may be at most
            /// `overcount` times the resident growth and 4 MiB.
            func expectAccurateBudget(_ what: String, least: Int, overcount: Int = 3) async throws {
                let truth = try await eventually("\(what): the count is stable") { () -> (Int, Int)? in
                    let before = try growth()
                    guard before.counted >= least else { return nil }
                    Thread.sleep(forTimeInterval: 0.3)
                    let after = try growth()
                    return abs(after.counted - before.counted) < 65_536 ? (after.resident, after.counted) : nil
                }
                let (resident, counted) = truth
                let words = "\(what): \(resident >> 10) KiB resident, \(counted >> 10) KiB counted"
                print(words)
                #expect(resident <= counted + counted / 4 + (8 << 20), "\(words)")
                #expect(counted <= overcount * max(resident, 1 << 20) + (4 << 20), "\(words)")
            }
        }

        @Test("Idle sessions with one tunnel are counted, and 20,000 fit into 1 GiB")
        func sessions() async throws {
            let count = TestRun.isHeavy ? 4_000 : 400
            // Sessions begin below seven eighths of the budget.
            #expect(20_000 * (MemoryBudget.sessionCost + MemoryBudget.tunnelCost) <= (1 << 30) / 8 * 7)
            try await Server.with { server in
                let peers = try await onThread {
                    NonSendable(
                        try (0..<count).map { _ in
                            let peer = try WirePeer.session(server.port, .alice)
                            try peer.send(WirePeer.bindRequest(0))
                            _ = try peer.frame(.bound)
                            return peer
                        }
                    )
                }
                try await server.expectAccurateBudget("\(count) sessions", least: count * 32_768)
                _ = peers
            }
        }

        @Test("Tunnels of one session are counted")
        func tunnels() async throws {
            try await Server.with { server in
                let peer = try await onThread {
                    let peer = try WirePeer.session(server.port, .alice)
                    for tunnel in UInt16(0)..<128 {
                        try peer.send(WirePeer.bindRequest(0, tunnel: tunnel))
                        try require(peer.frame(.bound, .unbound).header.type == .bound, "tunnel \(tunnel)")
                    }
                    return NonSendable(peer)
                }
                try await server.expectAccurateBudget("128 tunnels", least: 128 * 8_000)
                _ = peer
            }
        }

        @Test("Refused requests for ports retain no memory")
        func refusedBinds() async throws {
            try await Server.with("binds_in_ten_seconds = 100000") { server in
                let peer = try await onThread {
                    let peer = try WirePeer.session(server.port, .alice)
                    for round in 0..<100 {
                        for tunnel in UInt16(0)..<100 { try peer.send(WirePeer.bindRequest(80, tunnel: tunnel)) }
                        for _ in 0..<100 {
                            let refusal = try Refusal(peer.frame(.unbound).payload, of: .unbound)
                            try require(refusal.code == .portNotAllowed, "round \(round): \(refusal)")
                        }
                    }
                    return NonSendable(peer)
                }
                let (resident, counted) = try server.growth()
                // The refusals are kept until they are acknowledged.
                #expect(resident < 8 << 20 && counted < 4 << 20, "\(resident) resident, \(counted) counted")
                _ = peer
            }
        }

        /// Opens a session with a port, and visitors whose streams are accepted.
        private static func visitors(
            _ count: Int,
            _ server: Server,
            receiveBuffer: Int32? = nil
        ) throws -> (peer: WirePeer, visitors: [TCPSocket], streams: [StreamID]) {
            let peer = try WirePeer.session(server.port, .alice)
            try peer.send(WirePeer.bindRequest(0))
            let port = try Binding(peer.frame(.bound).payload).port
            var visitors: [TCPSocket] = []
            var streams: [StreamID] = []
            for _ in 0..<count {
                visitors.append(try TCPSocket(port: port, receiveBuffer: receiveBuffer))
                let stream = try peer.frame(.open).header.stream
                try peer.send(OutboundFrame(.accept, stream))
                streams.append(stream)
            }
            return (peer, visitors, streams)
        }

        @Test("Idle visitors are counted")
        func idleVisitors() async throws {
            try await Server.with { server in
                let session = try await onThread { NonSendable(try Self.visitors(1_000, server)) }
                try await server.expectAccurateBudget("1000 visitors", least: 1_000 * MuxLimits.streamCost)
                _ = session
            }
        }

        @Test(
            "Bytes for visitors that do not read are counted, in chunks of several sizes",
            arguments: [600, 4_200, 16_000]
        )
        func slowVisitors(piece: Int) async throws {
            let window = 4 << 20
            try await Server.with("initial_window = \(window)") { server in
                let session = try await onThread {
                    let session = try Self.visitors(12, server, receiveBuffer: 2_304)
                    // Fills each window, of which the kernel buffers a part.
                    var left = [Int](repeating: window, count: session.streams.count)
                    while true {
                        var frames: [OutboundFrame] = []
                        for (index, stream) in session.streams.enumerated() where left[index] >= piece {
                            left[index] -= piece
                            frames.append(OutboundFrame(.data, stream, ByteBuffer(repeating: 7, count: piece)))
                        }
                        guard !frames.isEmpty else { break }
                        try session.peer.socket.send(frames.flatMap { try session.peer.encode($0) })
                    }
                    return NonSendable(session)
                }
                try await server.expectAccurateBudget("pieces of \(piece) bytes", least: 8 << 20)
                _ = session
            }
        }

        @Test("Bytes of visitors without credit are counted, in small writes", arguments: [1, 5_000])
        func queued(piece: Int) async throws {
            try await Server.with { server in
                let session = try await onThread {
                    // Few enough not to fill the replay buffer.
                    let session = try Self.visitors(50, server)
                    for visitor in session.visitors {
                        // Sends a whole window at once, so that reads become large. Later bytes must wait.
                        try visitor.send([UInt8](repeating: 1, count: 65_536))
                    }
                    // Grants no further credit.
                    var bytes = 0
                    while bytes < 50 * 65_536 {
                        bytes += try session.peer.frame(.data).payloadLength
                        try session.peer.send(OutboundFrame(.ack, number: session.peer.counted))
                    }
                    for _ in 0..<8 {
                        for visitor in session.visitors { try visitor.send([UInt8](repeating: 2, count: piece)) }
                        Thread.sleep(forTimeInterval: 0.02)
                    }
                    return NonSendable(session)
                }
                try await server.expectAccurateBudget("writes of \(piece) bytes", least: 50 * MuxLimits.streamCost)
                _ = session
            }
        }

        @Test("Sessions of clients that read nothing are counted: kept frames, queued bytes, and the carrier's buffer")
        func blockedCarriers() async throws {
            try await Server.with { server in
                let session = try await onThread {
                    try (0..<8).map { _ in
                        let peer = try WirePeer.session(server.port, .alice, window: 8 << 20, receiveBuffer: 2_304)
                        try peer.send(WirePeer.bindRequest(0))
                        let port = try Binding(peer.frame(.bound).payload).port
                        let visitors = try (0..<4).map { _ in try TCPSocket(port: port) }
                        for visitor in visitors {
                            _ = try visitor.sendUntilStalled(
                                [UInt8](repeating: 5, count: 65_536),
                                timeout: .milliseconds(100),
                                limit: 16 << 20
                            )
                        }
                        return NonSendable((peer, visitors))
                    }
                }
                try await server.expectAccurateBudget("8 blocked carriers", least: 8 * 262_144)
                _ = session
            }
        }

        @Test("Visitors that connected, sent and finished without a carrier are counted")
        func waiting() async throws {
            try await Server.with { server in
                let session = try await onThread {
                    let peer = try WirePeer.session(server.port, .alice)
                    try peer.send(WirePeer.bindRequest(0))
                    let port = try Binding(peer.frame(.bound).payload).port
                    peer.socket.abort()
                    Thread.sleep(forTimeInterval: 0.2)
                    return try (0..<200).map { _ in
                        let visitor = try TCPSocket(port: port)
                        try visitor.send([UInt8](repeating: 3, count: 50_000))
                        try visitor.finishSending()
                        return NonSendable(visitor)
                    }
                }
                try await server.expectAccurateBudget("200 waiting visitors", least: 200 * 50_000)
                _ = session
            }
        }
    }

    /// Deferred frames keep only their own bytes alive.
    @Suite struct DeferredFrameTests {
        @Test("Deferred frames are counted by the memory that they retain, and retain only their own bytes")
        func parked() {
            var parked = DeferredFrames()
            for _ in 0..<1_000 {
                // One frame's payload within a large read.
                var read = ByteBuffer(repeating: 1, count: 262_144)
                guard let payload = read.readSlice(length: 3_700) else { return }
                let header = OutboundFrame(.data, StreamID(2), payload).header
                parked.append(InboundFrame(header: header, pieces: [payload], payloadLength: payload.readableBytes))
            }
            #expect(parked.frames.allSatisfy { $0.pieces[0].storageCapacity <= 4_096 })
            #expect(parked.storage >= 1_000 * 3_700 && parked.storage <= 1_000 * (4_096 + MuxLimits.frameCost))
        }
    }
}
