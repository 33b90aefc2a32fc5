import Foundation
import HTTP1
import Mux
import Testing

@testable import Tunnel
@testable import culvert

/// The table `[limits]` in the configurations of both roles.
@Suite("Limits in a configuration")
struct LimitsTests {
    @Test("every key of a server sets its limit")
    func allOfServer() throws {
        let configuration = try LimitFile.server(
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

    @Test("every key of a client sets its limit")
    func allOfClient() throws {
        let configuration = try LimitFile.client(
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

    @Test(
        "values that contradict one another are refused, at the line of one in the file",
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
        let problem = try #require(LimitFile.problem { try LimitFile.server("[limits]\n" + text) })
        #expect(problem.contains(".toml:3: limits."))
        #expect(problem.contains(expected), "\(problem)")
    }

    @Test(
        "a mistake in `limits` is reported with its line, in every notation of the table",
        arguments: [
            ("limits = 3\n", ":2: limits: expected a table"),
            ("limits = { streams = 0 }\n", ":2: limits.streams: expected 1 to"),
            ("limits.streams = 0\n", ":2: limits.streams: expected 1 to"),
            ("path = \"/x\"\n\n[limits]\n# none\nhop_timeout = 3\n", ":6: limits.hop_timeout: unknown key"),
            ("[[limits]]\nstreams = 1\n", ":2: limits: expected a table"),
        ]
    )
    func places(text: String, expected: String) throws {
        let problem = try #require(LimitFile.problem { try LimitFile.server(text) })
        #expect(problem.contains(expected), "\(problem)")
    }

    @Test("as many tunnels as the limit are accepted, and one more is refused before the first dial")
    func tunnels() throws {
        let table = "[[tunnel]]\nremote = \"0\"\nlocal = \"x:1\"\n"
        for (count, isRefused) in [(2, false), (3, true)] {
            let text = "url = \"ws://h\"\n[limits]\ntunnels = 2\n" + String(repeating: table, count: count)
            let problem = LimitFile.problem {
                try LimitFile.with(text) { try ClientCommand.parse(["--config", $0]).configuration() }
            }
            #expect((problem != nil) == isRefused)
            if let problem { #expect(problem.contains("3 tunnels, but a session has at most 2")) }
        }
    }
}
