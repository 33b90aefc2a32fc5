import Foundation
import TestSupport
import Testing

extension Scenario {
    /// A TLS server of openssl's, for what ours would not do.
    ///
    /// - Returns: its port.
    func opensslServer(_ certificate: String, _ key: String, _ options: [String] = []) async throws -> UInt16 {
        let port = try FreePorts.next()
        let server = try start(
            "s_server-\(port)",
            Program.openssl.required(),
            ["s_server", "-accept", "127.0.0.1:\(port)", "-cert", certificate, "-key", key, "-quiet"] + options
        )
        try await listens(port, server)
        return port
    }

    /// A server that speaks TLS without a front.
    ///
    /// - Parameter names: whom its certificate is for.
    /// - Returns: the server, and the CA to give with `--ca`.
    func secureServer(
        for names: String = "DNS:localhost,IP:127.0.0.1"
    ) async throws -> (server: CulvertServer, authority: String) {
        let made = try await Certificate.make(in: self, for: names)
        let server = try await server(options: ["--tls-certificate", made.certificate, "--tls-key", made.key])
        return (server, made.authority)
    }

    /// Starts a client, and fetches a page from a service through it.
    ///
    /// - Parameters:
    ///   - url: the server's.
    ///   - options: how the client gets there.
    /// - Returns: the client, whose tunnel still stands.
    @discardableResult
    func expectPage(
        from url: String,
        _ options: [String],
        environment: [String: String] = [:]
    ) async throws -> CulvertClient {
        let web = try TCPService.web(page: EndToEnd.PathTests.page)
        let client = try client(url, ["0:127.0.0.1:\(web.port)"], options: options, environment: environment)
        try await EndToEndTests.expectPage(through: client.tunnel(to: web.port))
        return client
    }

    /// Starts a client that cannot get there, and waits for its end.
    ///
    /// - Returns: the line with which it ends.
    func expectEnd(
        _ code: Int32,
        from url: String,
        _ options: [String],
        environment: [String: String] = [:],
        within limit: Duration = .seconds(20)
    ) async throws -> String {
        let client = try client(url, ["0:127.0.0.1:9"], options: options, environment: environment)
        #expect(try await client.process.exitStatus(within: limit) == .exited(code), "\(client.process)")
        #expect(client.process.output.lines.isEmpty)
        let lines = client.process.errors.lines.filter { $0.hasPrefix("culvert: ") }
        #expect(lines.count == 1, "it says why once: \(client.process)")
        return lines.last ?? ""
    }
}

/// Expects all of these words in a line.
func expect(_ line: String, says words: String..., sourceLocation: SourceLocation = #_sourceLocation) {
    for word in words { #expect(line.contains(word), "\(line)", sourceLocation: sourceLocation) }
}

/// A user and a password as Basic carries them.
func basic(_ user: String, _ password: String) -> String {
    "Basic " + Data("\(user):\(password)".utf8).base64EncodedString()
}
