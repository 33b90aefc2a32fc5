import Mux
import NIOCore
import NIOPosix
import ProxyConnect
import Synchronization
import TestSupport
import Testing

@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer

@Suite("The diagnosis of a path")
struct DiagnosisTests {
    private func configuration(
        _ port: UInt16,
        _ forwards: [String] = [],
        token: Token? = Identity.alice.token
    ) throws -> ClientConfiguration {
        ClientConfiguration(
            endpoints: [try EndpointURL("ws://127.0.0.1:\(port)")],
            tunnels: try forwards.map { try TunnelSpec($0) },
            token: token,
            instance: [UInt8](repeating: 200, count: 32)
        )
    }

    private func checks(_ configuration: ClientConfiguration) async -> [DiagnosisCheck] {
        let checks = Mutex<[DiagnosisCheck]>([])
        var diagnosis = Diagnosis(configuration, logger: CollectedLog().logger)
        diagnosis.extent = PathMeasurement.Extent(messages: 10, rateTime: .milliseconds(400))
        await diagnosis.run { check in
            checks.withLock { $0.append(check) }
        }
        return checks.withLock { $0 }
    }

    @Test("A path that is well has a line for each hop and each measurement, and none that fails")
    func well() async throws {
        try await RunningServer.with {
            $0.clients[0].bandwidth = 4_000_000
        } _: { server in
            let checks = await checks(try configuration(server.port))
            #expect(
                checks.map(\.name) == [
                    "way", "connect", "upgrade", "session", "clock", "front", "rights", "latency", "buffering",
                    "rate down", "rate up",
                ]
            )
            #expect(checks.allSatisfy { $0.verdict != .fail }, "\(checks)")
            let down = try #require(checks.first { $0.name == "rate down" }?.figures?["bytes_per_second"])
            // The probes' bytes count against the client's bandwidth.
            #expect(down > 0 && down < 16_000_000)
        }
    }

    @Test("A diagnosis claims nothing, and a running client of the same token keeps its port")
    func claimsNothing() async throws {
        try await RunningServer.with {
            $0.clients[0].bandwidth = 4_000_000
        } _: { server in
            try await RunningClient.with(.alice, server.port, "0:localhost:9") { client in
                let url = try await client.tunnels.next("the tunnel is public")
                let port = try #require(url.split(separator: ":").last)
                let checks = await checks(try configuration(server.port, ["\(port):localhost:9", "1:localhost:9"]))
                let ports = checks.filter { $0.name == "port" }
                #expect(ports.map(\.verdict) == [.ok, .fail])
                #expect(ports.first?.fact == "\(port) is public, for a running client of this token")
                #expect(server.log.count("port is public") == 1)
                #expect(client.log.count("session lost") == 0 && client.log.count("carrier lost") == 0)
            }
        }
    }

    @Test("A late end is told at the hop after the last one that was passed")
    func late() throws {
        let configuration = try configuration(1)
        func hop(_ url: String, _ proxy: String, _ content: HopFact.Content?) throws -> DialError.Hop {
            let way = DialWay(endpoint: try EndpointURL(url), choice: try ProxyChoice(argument: proxy))
            return HopChecks.late(way, after: content.map { HopFact($0, time: .zero) }, configuration).hop
        }
        let connected = HopFact.Content.connected(address: "203.0.113.9:443")
        #expect(try hop("wss://a.test", "none", nil) == .lookup)
        #expect(try hop("wss://a.test", "none", connected) == .tls)
        #expect(try hop("ws://a.test", "none", connected) == .upgrade)
        #expect(try hop("ws://a.test", "http://p.test", connected) == .proxy)
        #expect(try hop("ws://a.test", "https://p.test", connected) == .proxyTLS)
        #expect(try hop("wss://a.test", "http://p.test", .proxied(ProxyPassage())) == .tls)
        #expect(try hop("wss://a.test", "none", .upgraded(UpgradeAnswer())) == .session)
    }

    @Test("A wrong token fails at the session, and a port without a server at the connect")
    func failures() async throws {
        try await RunningServer.with { server in
            let refused = await checks(try configuration(server.port, token: Identity.mallory.token))
            #expect(refused.last?.name == "session" && refused.last?.consequence == .refused)
        }
        let nobody = await checks(try configuration(1))
        #expect(nobody.last?.name == "connect" && nobody.last?.consequence == .unreachable)
        #expect(nobody.last?.remedy != nil)
    }

    @Test("S13 a probe beyond the number of a session is refused, and others go on")
    func bounds() async throws {
        try await RunningServer.with { server in
            let configuration = try configuration(server.port)
            let context = DialContext(configuration, logger: CollectedLog().logger)
            let way = DialWay(endpoint: configuration.endpoints[0], choice: .direct)
            let loop = MultiThreadedEventLoopGroup.singleton.next()
            let session = try await ProbeSession.dial(way, configuration, context, on: loop)
            let waiting = (0..<ProbeStreams.maximumStreams).map { _ in
                session.probe("echo", SilentEnd())
            }
            let one = try await session.probe("echo", SilentEnd()).get()
            #expect(one == .resetByOtherEnd(.busy))
            let other = try await session.probe("upload", SilentEnd()).get()
            #expect(other == .resetByOtherEnd(.notAllowed))
            await session.end()
            for ending in waiting { #expect(try await ending.get() != .resetByOtherEnd(.busy)) }
        }
    }

    @Test("Numbers that no server says are none")
    func numbers() {
        for text in ["-1", "-9223372036854775808", "9223372036854775807", "9007199254740993", "1e3", ""] {
            #expect(ServerFacts("time: \(text)\n").number("time") == nil, "\(text)")
        }
        #expect(ServerFacts("time: 9007199254740992\n").number("time") == 1 << 53)
    }

    @Test(
        "S13 a session has two probes in bulk at a time, and each ends by itself",
        .enabled(if: TestRun.isSlow, "waits for a timeout of ten seconds: CULVERT_SLOW=1")
    )
    func bulk() async throws {
        try await RunningServer.with { server in
            let configuration = try configuration(server.port)
            let context = DialContext(configuration, logger: CollectedLog().logger)
            let way = DialWay(endpoint: configuration.endpoints[0], choice: .direct)
            let loop = MultiThreadedEventLoopGroup.singleton.next()
            let session = try await ProbeSession.dial(way, configuration, context, on: loop)
            let first = session.probe("sink", SilentEnd())
            _ = session.probe("sink", SilentEnd())
            #expect(try await session.probe("source", SilentEnd()).get() == .resetByOtherEnd(.busy))
            #expect(try await first.get() == .resetByOtherEnd(.timeout))
            #expect(await session.text(of: "facts").hasPrefix("software: "))
            await session.end()
        }
    }

    @Test("A server's facts are read whatever else it says, and are cut")
    func facts() {
        let facts = ServerFacts(
            "software: culvert/9\ntime: 5\nnew: thing\nno colon\nport: 8022 free\nport: x\nclient: a\u{1B}b\nclient: c\n"
        )
        #expect(facts["software"] == "culvert/9" && facts.number("time") == 5 && facts["absent"] == "")
        #expect(facts.ports == ["8022": "free"])
        #expect(facts["client"] == "a\\u{1b}b" || !facts["client"].contains("\u{1B}"))
    }
}

/// A near end that only waits.
private final class SilentEnd: ChannelInboundHandler, Sendable {
    typealias InboundIn = ByteBuffer
}
