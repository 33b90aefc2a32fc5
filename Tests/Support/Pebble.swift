import Foundation

/// Debian's `pebble`: a real CA for tests, on loopback. Its names all lead to 127.0.0.1.
public struct Pebble: Sendable {
    /// The URL of its directory.
    public let directory: String
    /// The CA of its own certificate for HTTPS.
    public let authority: String
    /// The port of its management, whose `/roots/0` has the CA of the certificates that it issues.
    public let management: UInt16
    /// The process.
    public let process: ChildProcess

    /// Starts the CA and its name server. Of its own it refuses one nonce of twenty.
    ///
    /// - Parameters:
    ///   - http: the port on which it looks for http-01.
    ///   - tls: the port on which it looks for tls-alpn-01.
    public static func start(http: UInt16, tls: UInt16, in scenario: Scenario) async throws -> Pebble {
        let (port, management, names, control) = (
            try FreePorts.next(), try FreePorts.next(), try FreePorts.next(), try FreePorts.next()
        )
        let certificate = try await Certificate.make(in: scenario)
        let file = "\(scenario.directory)/pebble.json"
        try scenario.write(
            """
            {"pebble": {
                "listenAddress": "127.0.0.1:\(port)", "managementListenAddress": "127.0.0.1:\(management)",
                "certificate": "\(certificate.certificate)", "privateKey": "\(certificate.key)",
                "httpPort": \(http), "tlsPort": \(tls),
                "ocspResponderURL": "", "externalAccountBindingRequired": false
            }}

            """,
            to: file
        )
        let resolver = try scenario.start(
            "pebble-challtestsrv",
            Program.pebbleNames.required(),
            [
                "-dns01", "127.0.0.1:\(names)", "-management", "127.0.0.1:\(control)", "-http01", "", "-https01", "",
                "-tlsalpn01", "", "-defaultIPv6", "",
            ]
        )
        let process = try scenario.start(
            "pebble",
            Program.pebble.required(),
            ["-config", file, "-dnsserver", "127.0.0.1:\(names)", "-strict"],
            environment: ["PEBBLE_VA_NOSLEEP": "1"]
        )
        try await waitUntilListening(control, resolver)
        try await waitUntilListening(port, process)
        return Pebble(
            directory: "https://localhost:\(port)/dir",
            authority: certificate.authority,
            management: management,
            process: process
        )
    }
}
