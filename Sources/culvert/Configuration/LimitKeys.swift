import Mux
import Tunnel

/// The keys of `[limits]`: what each bounds, how far it may be moved, and why no further. Their defaults and the reasons
/// for these stand at the limits themselves.
enum LimitKeys {
    /// A server's.
    static func apply(_ file: ConfigurationFile, to server: inout ServerConfiguration) throws(Failure) {
        var table = LimitsTable(file)
        try readSession(&table, &server.limits)
        try readVisits(&table, &server.limits)
        try readStrangers(&table, &server.serverLimits)
        try readServer(&table, &server.serverLimits)
        try readMemory(&table, &server.serverLimits.memory)
        try readVisitorLog(&table, &server.serverLimits.visitorLogLines)
        try readCommon(&table, &server.serverLimits.admin, &server.serverLimits.carrier, &server.drainTimeout)
        server.serverLimits.carrier.pingsInTenSeconds = server.limits.pingsInTenSeconds
        try table.finish()
    }

    /// A client's.
    static func apply(_ file: ConfigurationFile, to client: inout ClientConfiguration) throws(Failure) {
        var table = LimitsTable(file)
        try readSession(&table, &client.limits)
        try table.time(
            "hop_timeout",
            &client.clientLimits.hopTimeout,
            .seconds(1) ... .seconds(120),
            "proxies take seconds, and a way that is dead must be given up some time"
        )
        try table.time(
            "service_timeout",
            &client.clientLimits.serviceTimeout,
            .milliseconds(100) ... .seconds(60),
            "the visitor waits meanwhile, and the server gives it up after its open_timeout"
        )
        try readMemory(&table, &client.clientLimits.memory)
        try readVisitorLog(&table, &client.clientLimits.visitorLogLines)
        try readCommon(&table, &client.clientLimits.admin, &client.clientLimits.carrier, &client.drainTimeout)
        client.clientLimits.carrier.pingsInTenSeconds = client.limits.pingsInTenSeconds
        try table.finish()
    }

    /// What visitors may write to the log.
    private static func readVisitorLog(_ table: inout LimitsTable, _ lines: inout Int) throws(Failure) {
        try table.count("visitor_log_lines", &lines, 1...1_000_000, "each has some 200 bytes, and visitors cause it")
    }

    /// What the process may hold.
    private static func readMemory(_ table: inout LimitsTable, _ memory: inout Int) throws(Failure) {
        try table.size(
            "memory",
            &memory,
            16 << 20...1 << 40,
            "less would refuse ordinary work"
        )
    }

    /// What both ends hold a session to.
    private static func readSession(_ table: inout LimitsTable, _ limits: inout MuxLimits) throws(Failure) {
        try readBytes(&table, &limits)
        try table.count("streams", &limits.streams, 1...1_000_000, "each costs a socket at both ends")
        try table.count("unaccepted_streams", &limits.opening, 1...100_000, "each is a service being connected to")
        try table.count(
            "waiting_control",
            &limits.waitingControl,
            100...4_000_000,
            "streams that end together say so together, and a peer that does not read must not fill the memory"
        )
        try table.count(
            "pings_in_ten_seconds",
            &limits.pingsInTenSeconds,
            MuxLimits.leastPings...10_000,
            "the peer may ping every second, and less would end its session"
        )
        try table.count(
            "odd_events_in_ten_seconds",
            &limits.glitchesInTenSeconds,
            10...1_000_000,
            "frames that cross on the way are no attack"
        )
        try table.time(
            "ping_interval",
            &limits.pingInterval,
            .seconds(1) ... .seconds(3_600),
            "each ping is traffic, and a silence that nobody breaks keeps dead sessions"
        )
        try table.time(
            "ping_timeout",
            &limits.pingTimeout,
            .milliseconds(500) ... .seconds(300),
            "a slow path needs its time, and a dead one must be noticed"
        )
        try table.time(
            "reset_timeout",
            &limits.resetPatience,
            .milliseconds(100) ... .seconds(60),
            "a peer or socket that takes nothing holds a stream for as long"
        )
        try table.time(
            "ack_patience",
            &limits.ackPatience,
            .milliseconds(100) ... .seconds(60),
            "the peer acknowledges within 20 ms, and a slow path needs its time"
        )
        try table.time(
            "grace",
            &limits.grace,
            .seconds(1) ... .seconds(86_400),
            "a client must have the time to dial, and streams and ports are held meanwhile"
        )
        try table.count("tunnels", &limits.tunnels, 1...1_000, "each is a listening socket or more")
        try table.demand(
            limits.waitingControl >= 2 * limits.streams,
            "waiting_control",
            "streams",
            "waiting_control (\(limits.waitingControl)) must be at least twice streams (\(limits.streams)): streams that "
                + "end together would end the session"
        )
    }

    /// The bytes that a session may hold.
    private static func readBytes(_ table: inout LimitsTable, _ limits: inout MuxLimits) throws(Failure) {
        let (kibibyte, mebibyte, gibibyte) = (1 << 10, 1 << 20, 1 << 30)
        try table.size(
            "initial_window",
            &limits.initialWindow,
            16 * kibibyte...16 * mebibyte,
            "a frame must fit, and every stream may use it at once"
        )
        try table.size(
            "widest_window",
            &limits.maximumWindow,
            16 * kibibyte...gibibyte,
            "a frame must fit, and a window beyond the path's own bytes only fills memory"
        )
        try table.size(
            "received_bytes",
            &limits.bufferedBytes,
            mebibyte...64 * gibibyte,
            "some streams' windows must fit"
        )
        try table.size(
            "queued_per_stream",
            &limits.queuedPerStream,
            16 * kibibyte...16 * mebibyte,
            "a frame must fit, and what waits is late"
        )
        try table.size(
            "queued_bytes",
            &limits.queuedBytes,
            mebibyte...64 * gibibyte,
            "the kernel's buffer of a socket that ends must fit"
        )
        try table.size(
            "replay_bytes",
            &limits.replayBytes,
            256 * kibibyte...gibibyte,
            "the peer acknowledges every 64 KiB, and what is on the way must fit"
        )
        try table.demand(
            limits.initialWindow <= limits.maximumWindow,
            "initial_window",
            "widest_window",
            "initial_window (\(limits.initialWindow.asBytes)) is above widest_window (\(limits.maximumWindow.asBytes))"
        )
        try table.demand(
            limits.maximumWindow <= limits.bufferedBytes,
            "widest_window",
            "received_bytes",
            "widest_window (\(limits.maximumWindow.asBytes)) is above received_bytes (\(limits.bufferedBytes.asBytes))"
        )
        try table.demand(
            limits.queuedPerStream <= limits.queuedBytes,
            "queued_per_stream",
            "queued_bytes",
            "queued_per_stream (\(limits.queuedPerStream.asBytes)) is above queued_bytes (\(limits.queuedBytes.asBytes))"
        )
    }

    /// What a server alone holds a session to.
    private static func readVisits(_ table: inout LimitsTable, _ limits: inout MuxLimits) throws(Failure) {
        try table.time(
            "open_timeout",
            &limits.openTimeout,
            .seconds(1) ... .seconds(120),
            "the client connects to its service meanwhile, and the visitor waits"
        )
        try table.count(
            "binds_in_ten_seconds",
            &limits.bindsInTenSeconds,
            10...100_000,
            "a client asks again for ports that are taken, and each costs system calls"
        )
    }

    /// What connections may cost that have not proved themselves.
    private static func readStrangers(_ table: inout LimitsTable, _ limits: inout ServerLimits) throws(Failure) {
        let kibibyte = 1 << 10
        try table.size(
            "request_head",
            &limits.head.maximumBytes,
            kibibyte...256 * kibibyte,
            "fronts add fields of their own, and each stranger may cost as much"
        )
        try table.size(
            "request_line",
            &limits.head.maximumLineBytes,
            512...256 * kibibyte,
            "a front's longest field must fit"
        )
        try table.count(
            "request_fields",
            &limits.head.maximumFields,
            8...1_000,
            "an upgrade has six, and fronts add theirs"
        )
        try table.time(
            "handshake_timeout",
            &limits.handshakeTimeout,
            .seconds(2) ... .seconds(120),
            "a slow way takes seconds, and a silent stranger holds a place meanwhile"
        )
        try table.count("silent_strangers", &limits.silentStrangers, 1...100_000, "each costs a socket and some KiB")
        try table.count("strangers", &limits.strangers, 1...100_000, "each costs a socket and some KiB")
        try table.count(
            "strangers_per_address",
            &limits.strangersPerAddress,
            1...100_000,
            "each costs a socket and some KiB"
        )
        try table.count(
            "connections_per_second",
            &limits.connectionsPerSecond,
            1...100_000,
            "each costs a proof, and clients come back together after a restart"
        )
        try table.count("wrong_proofs", &limits.freeProofs, 1...1_000, "more is guessing")
        try table.time(
            "wrong_proof_delay",
            &limits.longestProofDelay,
            .seconds(1) ... .seconds(60),
            "it slows who guesses, and holds a place meanwhile"
        )
        try table.count(
            "stranger_log_lines",
            &limits.logLines,
            1...100_000,
            "strangers must not be able to fill a disk"
        )
        try table.count(
            "remembered_addresses",
            &limits.rememberedAddresses,
            16...1_000_000,
            "each costs some hundred bytes"
        )
        try table.demand(
            limits.head.maximumLineBytes <= limits.head.maximumBytes,
            "request_line",
            "request_head",
            "request_line (\(limits.head.maximumLineBytes.asBytes)) is above request_head "
                + "(\(limits.head.maximumBytes.asBytes))"
        )
        try table.demand(
            limits.strangersPerAddress <= limits.strangers,
            "strangers_per_address",
            "strangers",
            "strangers_per_address (\(limits.strangersPerAddress)) is above strangers (\(limits.strangers))"
        )
        try table.demand(
            limits.longestProofDelay < limits.handshakeTimeout,
            "wrong_proof_delay",
            "handshake_timeout",
            "wrong_proof_delay (\(limits.longestProofDelay.asTime)) must be below handshake_timeout "
                + "(\(limits.handshakeTimeout.asTime)), which would end the connection before the refusal"
        )
    }

    /// The rest of a server.
    private static func readServer(_ table: inout LimitsTable, _ limits: inout ServerLimits) throws(Failure) {
        try table.count(
            "sessions_per_client",
            &limits.sessionsPerClient,
            1...1_000_000,
            "each may hold ports and memory, also while it waits for a carrier"
        )
        try table.count("listen_queue", &limits.listenQueue, 1...65_535, "the kernel cuts it to its own somaxconn")
        try table.count(
            "public_listen_queue",
            &limits.publicListenQueue,
            1...65_535,
            "the kernel cuts it to its own somaxconn"
        )
        try table.count(
            "visitors_per_second",
            &limits.visitorsPerSecond,
            1...1_000_000,
            "each costs the client a connection to its service"
        )
        try table.count(
            "ports_per_client",
            &limits.portsPerClient,
            1...65_535,
            "there are no more, and other clients want some"
        )
        try table.count(
            "waiting_visitors",
            &limits.waitingVisitors,
            1...100_000,
            "each costs a socket"
        )
        try table.time(
            "stream_waiting_time",
            &limits.waitingTimeForStream,
            .milliseconds(100) ... .seconds(60),
            "a visitor who is not refused by then hears nothing at all"
        )
        try table.time(
            "waiting_time",
            &limits.waitingTime,
            .seconds(1) ... .seconds(600),
            "the visitor knows nothing of it, and a person gives up"
        )
        try table.count(
            "reserved_descriptors",
            &limits.reservedDescriptors,
            1...10_000,
            "visitors wait while no more than these are free, and the rest must be worth having"
        )
        try table.count("backend_connections", &limits.backendConnections, 1...100_000, "each costs two sockets")
        try table.time(
            "backend_body",
            &limits.backendBody,
            .seconds(1) ... .seconds(86_400),
            "a stranger holds a place meanwhile"
        )
        try table.time(
            "backend_answer",
            &limits.backendAnswer,
            .seconds(1) ... .seconds(3_600),
            "a stranger waits meanwhile, and holds a place"
        )
        try table.time(
            "backend_total",
            &limits.backendTotal,
            .seconds(10) ... .seconds(604_800),
            "a stranger holds a place meanwhile"
        )
        try table.time(
            "backend_idle",
            &limits.backendIdle,
            .seconds(1) ... .seconds(3_600),
            "a page may take seconds, and a silent connection holds a place"
        )
    }

    /// What both roles have beside their sessions.
    private static func readCommon(
        _ table: inout LimitsTable,
        _ admin: inout AdminLimits,
        _ carrier: inout CarrierLimits,
        _ drainTime: inout Duration
    ) throws(Failure) {
        try table.count("fragments", &carrier.fragments, 1...10_000, "each costs more than its bytes")
        try table.count("admin_connections", &admin.connections, 1...10_000, "each costs a socket")
        try table.time(
            "admin_timeout",
            &admin.timeout,
            .seconds(1) ... .seconds(120),
            "who asks is near, and a silent connection holds a place"
        )
        try table.time(
            "drain_time",
            &drainTime,
            .seconds(1) ... .seconds(86_400),
            "what runs wants to end, and whoever stops a service wants it stopped"
        )
    }
}
