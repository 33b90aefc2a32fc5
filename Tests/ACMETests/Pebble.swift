import Foundation
import TestSupport

/// Debian's `pebble`: a real CA for tests, on loopback. Its names all lead to 127.0.0.1.
struct Pebble {
    /// The URL of its directory.
    let directory: String
    /// The CA of its own certificate for HTTPS.
    let authority: String
    let process: ChildProcess

    /// Starts the CA and its name server. Of its own it refuses one nonce of twenty.
    ///
    /// - Parameters:
    ///   - http: the port on which it looks for http-01.
    ///   - tls: the port on which it looks for tls-alpn-01.
    static func start(http: UInt16, tls: UInt16, in scenario: Scenario) async throws -> Pebble {
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
            process: process
        )
    }
}
