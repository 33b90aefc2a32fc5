/// Limits of a server for connections that have not proved that they are a client's.
extension LimitTable {
    static let strangers: [Limit] = [
        .server(
            "request_head",
            .bytes(\.serverLimits.head.maximumBytes, 1 << 10...256 << 10),
            "Head of a request",
            "fronts add fields of their own, and each stranger may cost as much"
        ),
        .server(
            "request_line",
            .bytes(\.serverLimits.head.maximumLineBytes, 512...256 << 10),
            "Line of a request's head",
            "a front's longest field must fit"
        ),
        .server(
            "request_fields",
            .count(\.serverLimits.head.maximumFields, 8...1_000),
            "Fields of a request's head",
            "an upgrade needs six fields, and fronts add theirs"
        ),
        .server(
            "handshake_timeout",
            .time(\.serverLimits.handshakeTimeout, .seconds(2) ... .seconds(120)),
            "Time from accept to proof, and for a PROXY header",
            "a slow path takes seconds, and a silent stranger holds a place meanwhile"
        ),
        .server(
            "silent_strangers",
            .count(\.serverLimits.silentStrangers, 1...100_000),
            "Connections that have sent no request",
            "each connection costs a socket and some KiB, and with TLS a handshake"
        ),
        .server(
            "strangers",
            .count(\.serverLimits.strangers, 1...100_000),
            "Connections between request and proof",
            "each connection costs a socket and some KiB until its handshake times out"
        ),
        .server(
            "strangers_per_address",
            .count(\.serverLimits.strangersPerAddress, 1...100_000),
            "Connections without a proof from one address, or one /64 of IPv6",
            "an office behind one address must fit, and one attacker must not take all places"
        ),
        .server(
            "connections_per_second",
            .count(\.serverLimits.connectionsPerSecond, 1...100_000),
            "Requests for a session in a second, and in one burst",
            "each request costs a proof, and clients return together after a restart"
        ),
        .server(
            "wrong_proofs",
            .count(\.serverLimits.freeProofs, 1...1_000),
            "Wrong proofs a minute from one address that are answered at once",
            "a mistyped token file is no attack, and more is guessing"
        ),
        .server(
            "wrong_proof_delay",
            .time(\.serverLimits.longestProofDelay, .seconds(1) ... .seconds(60)),
            "Longest delay of the answer to further wrong proofs, each by 1 s more",
            "the delay slows a guesser, and holds a place meanwhile"
        ),
        .server(
            "remembered_addresses",
            .count(\.serverLimits.rememberedAddresses, 16...1_000_000),
            "Addresses whose rates and wrong proofs are remembered",
            "each address costs some hundred bytes"
        ),
        .server(
            "listen_queue",
            .count(\.serverLimits.listenQueue, 1...65_535),
            "Connections that wait for the endpoint to accept them",
            "all clients return at once after a restart, and the kernel cuts the queue to its somaxconn"
        ),
    ]
}
