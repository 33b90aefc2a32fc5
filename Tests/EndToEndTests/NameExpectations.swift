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

    private static func port(of scheme: String, _ server: CulvertServer) async throws -> UInt16 {
        let line = try await server.process.line { $0.hasPrefix("listening \(scheme)://") }
        return try #require(line.split(separator: ":").last.flatMap { UInt16($0) })
    }

    /// A visitor's connection.
    func visit() throws -> HTTPConnection {
        HTTPConnection(try TCPSocket(port: http, timeout: .seconds(20)))
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
