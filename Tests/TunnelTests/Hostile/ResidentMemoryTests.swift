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
    /// What the budget says beside what a server really takes, for each kind of buffer.
    @Suite(.serialized)
    struct ResidentMemoryTests {
        /// A server in a process of its own, and what it takes beyond its start.
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
                    // One of each first, so that what is made once is there.
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

            /// What has been added to both.
            func growth() throws -> (resident: Int, counted: Int) {
                (try process.residentBytes - base.resident, try Self.counted(admin) - base.counted)
            }

            /// The budget must not say less than half of what is really taken, small change aside, nor twice as much.
            func expectTruth(_ what: String, least: Int, overcount: Int = 3) async throws {
                let truth = try await eventually("\(what): what is counted comes to rest") { () -> (Int, Int)? in
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

        @Test("idle sessions with a tunnel each, of which 20,000 fit into 1 GiB")
        func sessions() async throws {
            let count = TestRun.isHeavy ? 4_000 : 400
            // Below seven eighths of the budget sessions begin.
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
                try await server.expectTruth("\(count) sessions", least: count * 32_768)
                _ = peers
            }
        }

        @Test("tunnels of one session")
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
                try await server.expectTruth("128 tunnels", least: 128 * 8_000)
                _ = peer
            }
        }

        @Test("requests for ports that are refused leave nothing behind")
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
                // The refusals themselves wait for an acknowledgement.
                #expect(resident < 8 << 20 && counted < 4 << 20, "\(resident) resident, \(counted) counted")
                _ = peer
            }
        }

        /// A session with a port, and visitors of it whose streams are accepted.
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

        @Test("idle visitors")
        func idleVisitors() async throws {
            try await Server.with { server in
                let scene = try await onThread { NonSendable(try Self.visitors(1_000, server)) }
                try await server.expectTruth("1000 visitors", least: 1_000 * MuxLimits.streamCost)
                _ = scene
            }
        }

        @Test("bytes for visitors that do not read, in pieces of any size", arguments: [600, 4_200, 16_000])
        func slowVisitors(piece: Int) async throws {
            let window = 4 << 20
            try await Server.with("initial_window = \(window)") { server in
                let scene = try await onThread {
                    let scene = try Self.visitors(12, server, receiveBuffer: 2_304)
                    // Every window is filled, and the kernel takes a part of each.
                    var left = [Int](repeating: window, count: scene.streams.count)
                    while true {
                        var frames: [OutboundFrame] = []
                        for (index, stream) in scene.streams.enumerated() where left[index] >= piece {
                            left[index] -= piece
                            frames.append(OutboundFrame(.data, stream, ByteBuffer(repeating: 7, count: piece)))
                        }
                        guard !frames.isEmpty else { break }
                        try scene.peer.socket.send(frames.flatMap { try scene.peer.encode($0) })
                    }
                    return NonSendable(scene)
                }
                try await server.expectTruth("pieces of \(piece) bytes", least: 8 << 20)
                _ = scene
            }
        }

        @Test("bytes of visitors whose service grants no credit, in small writes", arguments: [1, 5_000])
        func queued(piece: Int) async throws {
            try await Server.with { server in
                let scene = try await onThread {
                    // Fewer than fill the replay buffer.
                    let scene = try Self.visitors(50, server)
                    for visitor in scene.visitors {
                        // The window, as fast as it goes: reads become large. What comes behind it waits.
                        try visitor.send([UInt8](repeating: 1, count: 65_536))
                    }
                    // No credit is granted for it.
                    var bytes = 0
                    while bytes < 50 * 65_536 {
                        bytes += try scene.peer.frame(.data).payloadLength
                        try scene.peer.send(OutboundFrame(.ack, number: scene.peer.counted))
                    }
                    for _ in 0..<8 {
                        for visitor in scene.visitors { try visitor.send([UInt8](repeating: 2, count: piece)) }
                        Thread.sleep(forTimeInterval: 0.02)
                    }
                    return NonSendable(scene)
                }
                try await server.expectTruth("writes of \(piece) bytes", least: 50 * MuxLimits.streamCost)
                _ = scene
            }
        }

        @Test("sessions whose clients read nothing: frames that are kept, bytes that wait, and what the carrier holds")
        func blockedCarriers() async throws {
            try await Server.with { server in
                let scene = try await onThread {
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
                try await server.expectTruth("8 blocked carriers", least: 8 * 262_144)
                _ = scene
            }
        }

        @Test("visitors who came while there was no carrier, spoke and finished")
        func waiting() async throws {
            try await Server.with { server in
                let scene = try await onThread {
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
                try await server.expectTruth("200 waiting visitors", least: 200 * 50_000)
                _ = scene
            }
        }
    }

    /// Frames that wait keep their own bytes alive, and not what came with them.
    @Suite struct ParkedFrameTests {
        @Test("frames that are set aside are counted by what they keep alive, and keep no more than that")
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
