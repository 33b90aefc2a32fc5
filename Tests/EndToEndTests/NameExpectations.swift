import TestSupport
import Testing

/// A server that publishes host names below `example.test`.
struct NameServer {
    let server: CulvertServer
    /// The port for requests without TLS.
    let http: UInt16
    /// The port for TLS; 0 without one.
    let https: UInt16

    /// Starts a server, and waits for its addresses.
    static func start(
        in scenario: Scenario,
        options: [String] = [],
        https: Bool = false
    ) async throws -> NameServer {
        var all = ["--http-listen", "127.0.0.1:0", "--http-domain", "example.test"]
        if https { all += ["--https-listen", "127.0.0.1:0"] }
        let server = try await scenario.server(options: all + ["--allow-names", "*.example.test"] + options)
        return NameServer(
            server: server,
            http: try await port(of: "http", server),
            https: https ? try await port(of: "https", server) : 0
        )
    }

    /// Starts a server with TLS, a certificate for all names below `example.test`, and an admin socket.
    static func secure(in scenario: Scenario) async throws -> (names: NameServer, certificate: Certificate) {
        let certificate = try await Certificate.make(in: scenario, for: "DNS:*.example.test")
        let file = "\(scenario.directory)/server.toml"
        try scenario.write(
            "[[certificate]]\ncertificate = \"\(certificate.certificate)\"\nkey = \"\(certificate.key)\"\n",
            to: file
        )
        let options = ["--config", file, "--admin", "unix:\(scenario.directory)/server.sock"]
        return (try await start(in: scenario, options: options, https: true), certificate)
    }

    private static func port(of scheme: String, _ server: CulvertServer) async throws -> UInt16 {
        let line = try await server.process.line { $0.hasPrefix("listening \(scheme)://") }
        return try #require(line.split(separator: ":").last.flatMap { UInt16($0) })
    }

    /// A visitor's connection.
    func visit() throws -> HTTPConnection {
        HTTPConnection(try TCPSocket(port: http, timeout: .seconds(20)))
    }
}

extension Scenario {
    /// Starts a client with an admin socket, and waits until its names are public.
    ///
    /// - Parameter services: the ports of services by their names below `example.test`.
    func names(_ services: [String: UInt16], at url: String) async throws -> CulvertClient {
        let client = try client(
            url,
            services.map { "http:\($0.key):127.0.0.1:\($0.value)" },
            options: ["--admin", adminSocket]
        )
        for name in services.keys { _ = try await client.name("\(name).example.test") }
        return client
    }

    /// Expects that no stream is left at the server of ``NameServer/secure(in:)`` and at the client of ``names(_:at:)``.
    func expectNoStreams(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        for socket in ["unix:\(directory)/server.sock", adminSocket] {
            var left = [""]
            // Streams whose visitor has gone linger for up to 5 s.
            for _ in 0..<40 where !left.isEmpty {
                let status = try culvert("status", ["status", "--json", "--admin", socket])
                _ = try await status.exitStatus()
                let counts = status.output.text.matches(of: /"streams" : ([0-9]+)/).map { String($0.1) }
                #expect(!counts.isEmpty, "\(status)", sourceLocation: sourceLocation)
                left = counts.filter { $0 != "0" }
                if !left.isEmpty { try await Task.sleep(for: .milliseconds(200)) }
            }
            #expect(left.isEmpty, "streams at \(socket): \(left)", sourceLocation: sourceLocation)
        }
    }

    /// Starts a service or a visitor of Fixtures/names.
    func python(
        _ script: String,
        _ arguments: [String],
        interpreter: String? = nil,
        input: StandardInput = .empty
    ) throws -> ChildProcess {
        try start(
            script,
            try interpreter ?? Program.python.required(),
            [try Fixture.url("names/\(script)").path] + arguments,
            input: input
        )
    }
}

extension CulvertClient {
    /// Waits until a name is public.
    ///
    /// - Returns: the URL that the client has printed.
    func name(_ name: String, skip: Int = 0) async throws -> String {
        let line = try await process.line(skip: skip) { $0.hasPrefix("tunnel ") && $0.contains("://\(name)") }
        return String(line.dropFirst("tunnel ".count).prefix { $0 != " " })
    }
}
