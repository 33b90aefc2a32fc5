import NIOCore
import TestSupport
import Testing

@testable import Mux
@testable import TunnelCore

extension HostileTests {
    /// The effects of scarce memory on real connections, in the order of `MemoryBudget`.
    @Suite(.serialized)
    struct MemoryTests {
        /// The number of idle sessions that fill this share of the smallest budget.
        private static func sessions(below share: Int) -> Int {
            MemoryBudget.least / share * (share - 1) / MemoryBudget.sessionCost
        }

        @Test(
            "X10 below three quarters of the memory a visitor is admitted; above, it is reset, and sessions still begin"
        )
        func visitorsAreRefused() async throws {
            try await RunningServer.with({ $0.serverLimits.memory = MemoryBudget.least }) { server in
                try await onThread {
                    let port = try FreePorts.next()
                    let alice = try WirePeer.session(server.port, .alice)
                    try require(try alice.bind(port) == nil, "the port was refused")
                    var others = try (1..<Self.sessions(below: 4) - 1).map { _ in
                        try WirePeer.session(server.port, .bob)
                    }
                    let last = try TCPSocket(port: port)
                    let open = try alice.frame(.open)
                    try alice.send(OutboundFrame(.accept, open.header.stream))
                    others.append(try WirePeer.session(server.port, .bob))

                    let refused = try TCPSocket(port: port).drain()
                    try require(refused.ending == .reset && refused.bytes.isEmpty, "\(refused)")
                    try require(server.log.count("visitor refused") == 1, "the log has no line")
                    try require(server.log.count("short of memory") == 1, "the log has no reason")
                    // Existing visitors are still served.
                    try last.send("still here")
                    try require(Array(alice.frame(.data).payload.readableBytesView) == Array("still here".utf8), "")
                    others.append(try WirePeer.session(server.port, .bob))
                    // The ended sessions free memory.
                    for other in others { try other.endSession() }
                    try waitUntil { server.sessions == 1 }
                    let admitted = try TCPSocket(port: port)
                    _ = try alice.frame(.open)
                    admitted.close()
                }
            }
        }

        @Test(
            "X10 below seven eighths of the memory a session begins; above, it is refused with a delay"
        )
        func sessionsAreRefused() async throws {
            try await RunningServer.with({ $0.serverLimits.memory = MemoryBudget.least }) { server in
                try await onThread {
                    let peers = try (0..<Self.sessions(below: 8)).map { _ in
                        try WirePeer.session(server.port, .bob)
                    }
                    let stranger = try WirePeer.dial(server.port)
                    var (handshake, authenticate) = try stranger.authentication(.alice)
                    try stranger.send(authenticate)
                    guard case .refused(let refusal) = try handshake.receive(stranger.frame(.welcome, .refused)) else {
                        throw ScenarioFailure(description: "a session beyond the limit")
                    }
                    try require(refusal.code == .busy && refusal.retryAfter == 10, "\(refusal)")
                    try require(refusal.text.contains("memory"), "\(refusal)")
                    _ = try stranger.readToEnd()
                    for peer in peers {
                        try peer.send(.ping(7))
                        _ = try peer.frame(.pong)
                    }
                    try peers[0].endSession()
                    try waitUntil { server.sessions < peers.count }
                    _ = try WirePeer.session(server.port, .alice)
                }
            }
        }

        @Test("X10 a client at three quarters of its memory resets new streams, and keeps existing ones")
        func clientsRefuseStreams() async throws {
            let service = try FullListener()
            let resets = Mailbox<(few: Int, many: [ResetCode], id: [UInt32])>()
            let server = try HostileServer { peer in
                try peer.send(peer.grant(), WirePeer.bound())
                /// Opens streams that wait for a service, each with a full window of bytes.
                func open(_ streams: Range<UInt32>) throws -> [InboundFrame] {
                    for stream in streams {
                        let bytes = ByteBuffer(repeating: 1, count: MuxLimits.maximumData)
                        try peer.send(WirePeer.open(2 * stream), OutboundFrame(.data, StreamID(2 * stream), bytes))
                    }
                    try peer.send(.ping(UInt64(streams.lowerBound)))
                    var resets: [InboundFrame] = []
                    while true {
                        let frame = try peer.frame(.reset, .pong)
                        if frame.header.type == .pong { return resets }
                        resets.append(frame)
                    }
                }
                let cost = UInt32(MuxLimits.maximumData + MuxLimits.streamCost)
                let enough = UInt32(MemoryBudget.least / 4 * 3 - MemoryBudget.sessionCost) / cost
                let few = try open(1..<enough)
                // The budget is updated once per iteration of the loop, so each stream arrives in its own iteration.
                let many = try (enough..<enough + 10).flatMap { try open($0..<$0 + 1) }
                resets.put((few.count, try many.map(WirePeer.resetCode), many.map(\.header.stream.rawValue)))
                _ = try peer.readToEnd()
            }
            try await RunningClient.with(.alice, server.port, "8022:127.0.0.1:\(service.port)") {
                $0.clientLimits.memory = MemoryBudget.least
                $0.clientLimits.serviceTimeout = .seconds(60)
            } _: { _ in
                let (few, many, ids) = try await resets.next("both groups are answered: \(server.failures.all)")
                #expect(few == 0)
                // The budget is updated in steps of 64 KiB, so one or two more streams are accepted.
                #expect(many.count >= 7 && Set(many) == [.busy])
                #expect(ids == ids.sorted() && ids.last == ids.first.map { $0 + 2 * UInt32(many.count - 1) })
            }
        }
    }
}

/// Waits on a thread until a condition holds, for at most 20 s.
private func waitUntil(_ condition: () -> Bool) throws {
    let end = ContinuousClock.now + .seconds(20)
    while !condition() {
        try require(.now < end, "not within 20 s")
        pause()
    }
}
