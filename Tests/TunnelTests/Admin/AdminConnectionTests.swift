import HTTP1
import Mux
import NIOCore
import NIOEmbedded
import Testing

@testable import TunnelAdmin
@testable import TunnelClient
@testable import TunnelCore

@Suite("Admin: connections")
struct AdminConnectionTests {
    /// A role that is not ready.
    private struct Role: AdminTarget {
        var notReadyReason: String? { "not yet" }
        func measure() async {}
        func status(session: Int?) async throws -> [UInt8] { [] }
        func kick(_ name: String) async -> Int? { nil }
        func renew(_ name: String?) async -> RenewResult? { name.map { RenewResult(asked: $0.utf8.count) } }
    }

    private func channel() throws -> EmbeddedChannel {
        let responder = AdminResponder(role: Role(), loops: EventLoopMonitor(loops: [], now: .now), metrics: nil)
        let handler = AdminConnection(timeout: .seconds(10), answers: responder.answers(AdminRouter(isPrivate: true)))
        let channel = EmbeddedChannel()
        try channel.setOption(.allowRemoteHalfClosure, value: true).wait()
        try channel.pipeline.syncOperations.addHandler(handler)
        try channel.connect(to: SocketAddress(unixDomainSocketPath: "/x")).wait()
        return channel
    }

    private func send(_ text: String, to channel: EmbeddedChannel) throws {
        try channel.writeInbound(ByteBuffer(string: text))
    }

    private func answer(of channel: EmbeddedChannel) throws -> String {
        try channel.readOutbound(as: ByteBuffer.self).map { String(buffer: $0) } ?? ""
    }

    @Test(
        "An invalid request is answered at once, and the connection is closed",
        arguments: [
            ("GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n", "404"), ("PUT /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "405"),
            ("GET /metrics HTTP/1.1\r\n\r\n", "400"), ("GET /metrics HTTP/2.0\r\n\r\n", "505"),
            ("GET /metrics HTTP/1.1\nHost: x\n\n", "400"),
            ("GET /" + String(repeating: "x", count: 5_000), "414"),
            ("GET / HTTP/1.1\r\n" + String(repeating: "A: b\r\n", count: 40), "431"),
            ("GET / HTTP/1.1\r\nA: " + String(repeating: "b", count: 9_000), "431"),
        ]
    )
    func refusals(_ request: String, _ status: String) throws {
        let channel = try channel()
        try send(request, to: channel)
        #expect(try answer(of: channel).hasPrefix("HTTP/1.1 \(status) "))
        // Further bytes are discarded.
        try send("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", to: channel)
        #expect(try answer(of: channel).isEmpty)
        _ = try? channel.finish()
    }

    @Test("Bytes that are not HTTP get no answer")
    func noise() throws {
        let channel = try channel()
        try send("\u{16}\u{3}\u{1}", to: channel)
        #expect(try answer(of: channel).isEmpty)
        #expect(!channel.isActive)
        _ = try? channel.finish()
    }

    @Test("A head that is not complete after 10 s is answered with 408")
    func slowHead() throws {
        let channel = try channel()
        try send("GET /metrics HTTP/1.1\r\n", to: channel)
        for _ in 0..<9 {
            channel.embeddedEventLoop.advanceTime(by: .seconds(1))
            try send("X: y\r\n", to: channel)
        }
        #expect(try answer(of: channel).isEmpty)
        channel.embeddedEventLoop.advanceTime(by: .seconds(1))
        #expect(try answer(of: channel).hasPrefix("HTTP/1.1 408 "))
        // A peer that does not read the answer is closed after 10 s.
        channel.embeddedEventLoop.advanceTime(by: .seconds(10))
        #expect(!channel.isActive)
        _ = try? channel.finish()
    }
}

@Suite("Admin: event loops")
struct EventLoopMonitorTests {
    @Test("An event loop without an iteration for more than 5 s is reported")
    func stuck() {
        let loops = [EmbeddedEventLoop(), EmbeddedEventLoop()]
        let start = Instant.now
        let watch = EventLoopMonitor(loops: loops, now: start)
        #expect(watch.problem(now: start + .seconds(5)) == nil)
        watch.beat(0, now: start + .seconds(4))
        #expect(watch.problem(now: start + .seconds(6)) == "event loop 1 has not turned for 6.0 s")
        watch.beat(1, now: start + .seconds(6))
        #expect(watch.problem(now: start + .seconds(9)) == nil)
        watch.stop()
    }

    @Test("The process's memory and descriptors are measured")
    func usage() throws {
        #if os(Linux)
        #expect(try #require(ProcessUsage.residentBytes) > 1_000_000)
        #expect(try #require(ProcessUsage.descriptorCount) >= 3)
        #endif
    }
}
