import Foundation
import TestSupport
import Testing

extension Scenario {
    /// Starts `openssl s_server`, for behaviour that the server does not have.
    ///
    /// - Returns: its port.
    func opensslServer(_ certificate: String, _ key: String, _ options: [String] = []) async throws -> UInt16 {
        let port = try FreePorts.next()
        let server = try start(
            "s_server-\(port)",
            Program.openssl.required(),
            ["s_server", "-accept", "127.0.0.1:\(port)", "-cert", certificate, "-key", key, "-quiet"] + options
        )
        try await waitUntilListening(port, server)
        return port
    }

    /// Starts a server with TLS.
    ///
    /// - Parameter names: the names of its certificate.
    /// - Returns: the server, and the CA to give with `--ca`.
    func secureServer(
        for names: String = "DNS:localhost,IP:127.0.0.1"
    ) async throws -> (server: CulvertServer, authority: String) {
        let made = try await Certificate.make(in: self, for: names)
        let server = try await server(options: ["--tls-certificate", made.certificate, "--tls-key", made.key])
        return (server, made.authority)
    }

    /// Starts a client, and fetches a page through its tunnel.
    ///
    /// - Parameters:
    ///   - url: the server's URL.
    ///   - options: further arguments of the client.
    /// - Returns: the client, whose tunnel is still open.
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

    /// The admin socket of a client that ``renew()`` reaches.
    var adminSocket: String { "unix:\(directory)/client.sock" }

    /// Makes the client at ``adminSocket`` dial another carrier.
    func renew() throws {
        _ = try culvert("renew", ["renew", "--admin", adminSocket])
    }

    /// Starts a client that cannot connect, and waits for its exit code.
    ///
    /// - Returns: its last error line.
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
        #expect(lines.count == 1, "not one error line: \(client.process)")
        return lines.last ?? ""
    }
}

/// Expects that a line contains all of these texts.
func expect(_ line: String, says words: String..., sourceLocation: SourceLocation = #_sourceLocation) {
    for word in words { #expect(line.contains(word), "\(line)", sourceLocation: sourceLocation) }
}

/// The value of a Basic authorization field.
func basic(_ user: String, _ password: String) -> String {
    "Basic " + Data("\(user):\(password)".utf8).base64EncodedString()
}
