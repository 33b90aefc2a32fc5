import Foundation
import HTTP1
import Mux
import Testing

@testable import TunnelAdmin
@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer
@testable import culvert

/// `[limits]` in either role's configuration: what it moves, how far, and what is said beyond.
@Suite("Limits in a configuration")
struct LimitsTests {
    private static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    private static let serverStart = "listen = \"127.0.0.1:1\"\n"
    private static let clientStart = "url = \"ws://h\"\ntunnel = [{ remote = \"1\", local = \"x:1\" }]\n"

    private func with<T>(_ text: String, _ body: (String) throws -> T) throws -> T {
        let path = NSTemporaryDirectory() + "culvert-\(UUID().uuidString).toml"
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try body(path)
    }

    private func server(_ limits: String) throws -> ServerConfiguration {
        try with(Self.serverStart + limits) { try ServerCommand.parse(["--config", $0]).configuration() }
    }

    private func client(_ limits: String) throws -> ClientConfiguration {
        try with(Self.clientStart + limits) { try ClientCommand.parse(["--config", $0]).configuration() }
    }

    /// What is said about a file; nil where it is in order.
    private func problem(_ body: () throws -> some Any) -> String? {
        do {
            _ = try body()
            return nil
        } catch {
            let failure = Failure(error)
            return failure.status == .configuration ? failure.description : "another failure: \(failure)"
        }
    }

    @Test("every bound of a server that has a key is moved by it")
    func allOfServer() throws {
        let configuration = try server(
            """
            [limits]
            request_head = "32 KiB"
            request_line = "16 KiB"
            request_fields = 100
            handshake_timeout = "20 s"
            strangers = 300
            strangers_per_address = 30
            wrong_proofs = 3
            wrong_proof_delay = "7 s"
            stranger_log_lines = 5
            remembered_addresses = 100
            listen_queue = 10
            visitors_per_second = 500
            public_listen_queue = 20
            tunnels = 4
            streams = 1000
            unaccepted_streams = 100
            open_timeout = "5 s"
            initial_window = "128 KiB"
            widest_window = "8 MiB"
            received_bytes = "32 MB"
            queued_per_stream = 32768
            queued_bytes = "16 MiB"
            replay_bytes = "8 MiB"
            waiting_control = 3000
            fragments = 8
            pings_in_ten_seconds = 30
            odd_events_in_ten_seconds = 100
            binds_in_ten_seconds = 50
            ping_interval = "30 s"
            ping_timeout = "1500 ms"
            reserved_descriptors = 70
            backend_connections = 7
            backend_idle = "2 min"
            admin_connections = 6
            admin_timeout = 3
            sessions_per_client = 9
            drain_time = "1 h"
            reset_timeout = "7 s"
            """
        )
        var limits = MuxLimits()
        (limits.tunnels, limits.streams, limits.opening, limits.openTimeout) = (4, 1_000, 100, .seconds(5))
        (limits.initialWindow, limits.maximumWindow, limits.bufferedBytes) = (131_072, 8_388_608, 32_000_000)
        (limits.queuedPerStream, limits.queuedBytes, limits.replayBytes) = (32_768, 16_777_216, 8_388_608)
        (limits.waitingControl, limits.pingsInTenSeconds, limits.glitchesInTenSeconds) = (3_000, 30, 100)
        (limits.bindsInTenSeconds, limits.pingInterval) = (50, .seconds(30))
        (limits.pingTimeout, limits.resetPatience) = (.milliseconds(1_500), .seconds(7))
        #expect(configuration.limits == limits)
        var own = ServerLimits()
        own.memory = SystemMemory().budget?.bytes ?? own.memory
        own.head = HeadLimits(maximumBytes: 32_768, maximumFields: 100, maximumLineBytes: 16_384)
        (own.handshakeTimeout, own.strangers, own.strangersPerAddress) = (.seconds(20), 300, 30)
        (own.freeProofs, own.longestProofDelay, own.logLines, own.rememberedAddresses) = (3, .seconds(7), 5, 100)
        (own.listenQueue, own.visitorsPerSecond, own.publicListenQueue) = (10, 500, 20)
        own.sessionsPerClient = 9
        (own.reservedDescriptors, own.backendConnections, own.backendIdle) = (70, 7, .seconds(120))
        own.admin = AdminLimits(connections: 6, timeout: .seconds(3))
        (own.carrier.fragments, own.carrier.pingsInTenSeconds) = (8, 30)
        #expect(configuration.serverLimits == own)
        #expect(configuration.drainTimeout == .seconds(3_600))
    }

    @Test("every bound of a client that has a key is moved by it")
    func allOfClient() throws {
        let configuration = try client(
            """
            [limits]
            hop_timeout = "20 s"
            service_timeout = "500 ms"
            tunnels = 20
            streams = 1000
            unaccepted_streams = 100
            initial_window = "16 KiB"
            widest_window = "1 GiB"
            received_bytes = "2 GiB"
            queued_per_stream = "16 KiB"
            queued_bytes = "1 MiB"
            replay_bytes = "256 KiB"
            waiting_control = 2000
            fragments = 1
            pings_in_ten_seconds = 25
            odd_events_in_ten_seconds = 10
            ping_interval = "1 s"
            ping_timeout = "500 ms"
            admin_connections = 1
            admin_timeout = "1 s"
            drain_time = "1 s"
            """
        )
        var limits = MuxLimits()
        (limits.tunnels, limits.streams, limits.opening) = (20, 1_000, 100)
        (limits.initialWindow, limits.maximumWindow, limits.bufferedBytes) = (16_384, 1 << 30, 1 << 31)
        (limits.queuedPerStream, limits.queuedBytes, limits.replayBytes) = (16_384, 1_048_576, 262_144)
        (limits.waitingControl, limits.pingsInTenSeconds, limits.glitchesInTenSeconds) = (2_000, 25, 10)
        (limits.pingInterval, limits.pingTimeout) = (.seconds(1), .milliseconds(500))
        #expect(configuration.limits == limits)
        var own = ClientLimits()
        own.memory = SystemMemory().budget?.bytes ?? own.memory
        (own.hopTimeout, own.serviceTimeout) = (.seconds(20), .milliseconds(500))
        own.admin = AdminLimits(connections: 1, timeout: .seconds(1))
        (own.carrier.fragments, own.carrier.pingsInTenSeconds) = (1, 25)
        #expect(configuration.clientLimits == own)
        #expect(configuration.drainTimeout == .seconds(1))
    }

    /// A key, its least and most, and for either what lies just beyond; with what else must stand there for these.
    struct Range: Sendable, CustomTestStringConvertible {
        let key: String
        let inside: [String]
        let outside: [String]
        let beside: String

        init(_ key: String, _ inside: [String], _ outside: [String], beside: String = "") {
            (self.key, self.inside, self.outside, self.beside) = (key, inside, outside, beside)
        }

        var testDescription: String { key }
    }

    private static let both = [
        Range("streams", ["1", "1000000"], ["0", "1000001"], beside: "waiting_control = 2000000"),
        Range("unaccepted_streams", ["1", "100000"], ["0", "100001"]),
        Range("waiting_control", ["100", "4000000"], ["99", "4000001"], beside: "streams = 10"),
        Range("pings_in_ten_seconds", ["15", "10000"], ["14", "10001"]),
        Range("odd_events_in_ten_seconds", ["10", "1000000"], ["9", "1000001"]),
        Range("ping_interval", ["\"1 s\"", "\"1 h\""], ["\"999 ms\"", "3601"]),
        Range("ping_timeout", ["\"500 ms\"", "\"5 min\""], ["\"499 ms\"", "301"]),
        Range("tunnels", ["1", "1000"], ["0", "1001"]),
        Range(
            "initial_window",
            ["\"16 KiB\"", "\"16 MiB\""],
            ["16383", "16777217"],
            beside: "widest_window = \"32 MiB\""
        ),
        Range(
            "widest_window",
            ["\"16 KiB\"", "\"1 GiB\""],
            ["16383", "1073741825"],
            beside: "initial_window = \"16 KiB\"\nreceived_bytes = \"2 GiB\""
        ),
        Range(
            "received_bytes",
            ["\"1 MiB\"", "\"64 GiB\""],
            ["1048575", "68719476737"],
            beside: "widest_window = \"1 MiB\""
        ),
        Range(
            "queued_per_stream",
            ["\"16 KiB\"", "\"16 MiB\""],
            ["16383", "16777217"]
        ),
        Range("queued_bytes", ["\"1 MiB\"", "\"64 GiB\""], ["1048575", "68719476737"]),
        Range("replay_bytes", ["\"256 KiB\"", "\"1 GiB\""], ["262143", "1073741825"]),
        Range("ack_patience", ["\"100 ms\"", "60"], ["\"99 ms\"", "61"]),
        Range("visitor_log_lines", ["1", "1000000"], ["0", "1000001"]),
        Range("reset_timeout", ["\"100 ms\"", "60"], ["\"99 ms\"", "61"]),
        Range("grace", ["1", "\"24 h\""], ["0", "\"25 h\""]),
        Range("memory", ["\"16 MiB\"", "\"1024 GiB\""], ["16777215", "\"1025 GiB\""]),
        Range("fragments", ["1", "10000"], ["0", "10001"]),
        Range("admin_connections", ["1", "10000"], ["0", "10001"]),
        Range("admin_timeout", ["\"1 s\"", "\"2 min\""], ["\"999 ms\"", "121"]),
        Range("drain_time", ["1", "\"24 h\""], ["0", "\"25 h\""]),
    ]

    static let serverRanges =
        both + [
            Range("request_head", ["\"1 KiB\"", "\"256 KiB\""], ["1023", "262145"], beside: "request_line = 512"),
            Range("request_line", ["512", "\"256 KiB\""], ["511", "262145"], beside: "request_head = \"256 KiB\""),
            Range("request_fields", ["8", "1000"], ["7", "1001"]),
            Range("handshake_timeout", ["2", "\"2 min\""], ["\"1999 ms\"", "121"], beside: "wrong_proof_delay = 1"),
            Range("silent_strangers", ["1", "100000"], ["0", "100001"]),
            Range("ports_per_client", ["1", "65535"], ["0", "65536"]),
            Range("strangers", ["1", "100000"], ["0", "100001"], beside: "strangers_per_address = 1"),
            Range("strangers_per_address", ["1", "100000"], ["0", "100001"], beside: "strangers = 100000"),
            Range("connections_per_second", ["1", "100000"], ["0", "100001"]),
            Range("waiting_visitors", ["1", "100000"], ["0", "100001"]),
            Range("stream_waiting_time", ["\"100 ms\"", "60"], ["\"99 ms\"", "61"]),
            Range("waiting_time", ["1", "600"], ["0", "601"]),
            Range("sessions_per_client", ["1", "1000000"], ["0", "1000001"]),
            Range("wrong_proofs", ["1", "1000"], ["0", "1001"]),
            Range("wrong_proof_delay", ["1", "60"], ["0", "61"], beside: "handshake_timeout = 120"),
            Range("stranger_log_lines", ["1", "100000"], ["0", "100001"]),
            Range("remembered_addresses", ["16", "1000000"], ["15", "1000001"]),
            Range("listen_queue", ["1", "65535"], ["0", "65536"]),
            Range("public_listen_queue", ["1", "65535"], ["0", "65536"]),
            Range("visitors_per_second", ["1", "1000000"], ["0", "1000001"]),
            Range("open_timeout", ["1", "120"], ["0", "121"]),
            Range("binds_in_ten_seconds", ["10", "100000"], ["9", "100001"]),
            Range("reserved_descriptors", ["1", "10000"], ["0", "10001"]),
            Range("backend_connections", ["1", "100000"], ["0", "100001"]),
            Range("backend_body", ["1", "86400"], ["\"999 ms\"", "86401"]),
            Range("backend_answer", ["1", "3600"], ["\"999 ms\"", "3601"]),
            Range("backend_total", ["10", "604800"], ["9", "604801"]),
            Range("backend_idle", ["1", "3600"], ["0", "3601"]),
        ]

    static let clientRanges =
        both + [
            Range("hop_timeout", ["1", "120"], ["0", "121"]),
            Range("service_timeout", ["\"100 ms\"", "60"], ["\"99 ms\"", "61"]),
        ]

    @Test(
        "at either end of a server's range a value is taken, and one past it is refused with its line",
        arguments: serverRanges
    )
    func serverRange(range: Range) {
        expect(range, line: 3) { try server($0) }
    }

    @Test(
        "at either end of a client's range a value is taken, and one past it is refused with its line",
        arguments: clientRanges
    )
    func clientRange(range: Range) {
        expect(range, line: 4) { try client($0) }
    }

    private func expect(_ range: Range, line: Int, _ load: (String) throws -> some Any) {
        func text(_ value: String) -> String { "[limits]\n\(range.key) = \(value)\n\(range.beside)\n" }
        for value in range.inside { #expect(problem { try load(text(value)) } == nil, "\(value)") }
        for value in range.outside + ["-1", "true", "\"much\"", "1.5", "\"99999999999999999999 GiB\""] {
            let problem = problem { try load(text(value)) } ?? "none"
            #expect(problem.contains(".toml:\(line): limits.\(range.key): expected "), "\(value): \(problem)")
        }
    }

    @Test("the keys that are known are the ones whose ranges are tested here")
    func allKeysHaveRanges() throws {
        #expect(try keys { try server($0) } == Self.serverRanges.map(\.key).sorted())
        #expect(try keys { try client($0) } == Self.clientRanges.map(\.key).sorted())
    }

    private func keys(_ load: (String) throws -> some Any) throws -> [String] {
        let problem = try #require(problem { try load("[limits]\nnonsense = 1\n") })
        let list = try #require(problem.firstRange(of: "limits.nonsense: unknown key; known here: "))
        return problem[list.upperBound...].split(separator: ", ").map(String.init)
    }

    @Test(
        "values that contradict one another are refused, at the line of the one that is there",
        arguments: [
            ("initial_window = \"8 MiB\"", "initial_window (8 MiB) is above widest_window (4 MiB)"),
            ("widest_window = \"32 KiB\"", "initial_window (64 KiB) is above widest_window (32 KiB)"),
            ("received_bytes = \"1 MiB\"", "widest_window (4 MiB) is above received_bytes (1 MiB)"),
            (
                "queued_per_stream = \"16 MiB\"\nqueued_bytes = \"8 MiB\"",
                "queued_per_stream (16 MiB) is above queued_bytes"
            ),
            ("streams = 12501", "waiting_control (25000) must be at least twice streams (12501)"),
            ("waiting_control = 19999", "waiting_control (19999) must be at least twice streams (10000)"),
            ("request_line = \"32 KiB\"", "request_line (32 KiB) is above request_head (16 KiB)"),
            ("strangers = 15", "strangers_per_address (16) is above strangers (15)"),
            ("strangers_per_address = 257", "strangers_per_address (257) is above strangers (256)"),
            ("wrong_proof_delay = \"10 s\"", "wrong_proof_delay (10 s) must be below handshake_timeout (10 s)"),
            ("handshake_timeout = \"5 s\"", "wrong_proof_delay (5 s) must be below handshake_timeout (5 s)"),
        ]
    )
    func contradictions(text: String, expected: String) throws {
        let problem = try #require(problem { try server("[limits]\n" + text) })
        #expect(problem.contains(".toml:3: limits."))
        #expect(problem.contains(expected), "\(problem)")
    }

    @Test(
        "what is no table of limits is named with its line, however it is written",
        arguments: [
            ("limits = 3\n", ":2: limits: expected a table"),
            ("limits = { streams = 0 }\n", ":2: limits.streams: expected 1 to"),
            ("limits.streams = 0\n", ":2: limits.streams: expected 1 to"),
            ("path = \"/x\"\n\n[limits]\n# none\nhop_timeout = 3\n", ":6: limits.hop_timeout: unknown key"),
            ("[[limits]]\nstreams = 1\n", ":2: limits: expected a table"),
        ]
    )
    func places(text: String, expected: String) throws {
        let problem = try #require(problem { try server(text) })
        #expect(problem.contains(expected), "\(problem)")
    }

    @Test("as many tunnels as the limit, and one more is refused before anything is dialled")
    func tunnels() throws {
        let table = "[[tunnel]]\nremote = \"0\"\nlocal = \"x:1\"\n"
        for (count, isRefused) in [(2, false), (3, true)] {
            let text = "url = \"ws://h\"\n[limits]\ntunnels = 2\n" + String(repeating: table, count: count)
            let problem = problem { try with(text) { try ClientCommand.parse(["--config", $0]).configuration() } }
            #expect((problem != nil) == isRefused)
            if let problem { #expect(problem.contains("3 tunnels, and at most 2 fit into a session")) }
        }
    }

    @Test("the samples show every key with its default", arguments: ["server", "client"])
    func samples(role: String) throws {
        let path = Self.root.appendingPathComponent("Fixtures/configuration/\(role).toml").path
        let sample = try String(contentsOfFile: path, encoding: .utf8)
        let section = sample.split(separator: "[limits]")[1].split(separator: "[[")[0]
        let shown = section.split(separator: "\n").filter { $0.hasPrefix("# ") && $0.contains(" = ") }
        let text = "[limits]\n" + shown.map { $0.dropFirst(2) }.joined(separator: "\n")
        let names = shown.map { String($0.dropFirst(2).prefix { $0 != " " }) }.sorted()
        if role == "server" {
            #expect(names == Self.serverRanges.map(\.key).sorted())
            let configuration = try server(text)
            #expect(configuration.limits == MuxLimits())
            #expect(configuration.serverLimits == ServerLimits())
            #expect(configuration.drainTimeout == ServerConfiguration().drainTimeout)
        } else {
            #expect(names == Self.clientRanges.map(\.key).sorted())
            let configuration = try client(text)
            #expect(configuration.limits == MuxLimits())
            #expect(configuration.clientLimits == ClientLimits())
            #expect(configuration.drainTimeout == ServerConfiguration().drainTimeout)
        }
    }

    @Test("the table of limits names every key, and no other")
    func documentation() throws {
        let path = Self.root.appendingPathComponent("Sources/Tunnel/Tunnel.docc/Limits.md").path
        let page = try String(contentsOfFile: path, encoding: .utf8)
        let keys = Set((Self.serverRanges + Self.clientRanges).map(\.key))
        let cells = page.split(separator: "\n").filter { $0.hasPrefix("| ") }.map { $0.split(separator: "|")[1] }
        let named = Set(cells.flatMap { $0.split(separator: "`").map(String.init) })
        #expect(keys.subtracting(named).isEmpty)
        let others: Set = [
            "allow_ports", "allow_addresses", "allow_loopback", "public_address", "bandwidth", "busy_polling",
            "visitor_connections", "visitor_rate",
            "visitor_allow", "visitor_deny", "visitor_idle", "visitor_bandwidth",
        ]
        let unknown = named.filter { $0.contains("_") }.subtracting(keys).subtracting(others)
        #expect(unknown.isEmpty)
    }
}
