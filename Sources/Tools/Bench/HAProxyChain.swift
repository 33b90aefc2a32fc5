import Foundation
import TestSupport

/// Two HAProxy processes in a row as plain relays: the lowest cost of two processes on the path.
enum HAProxyChain {
    static func start(before backend: UInt16, hasTLS: Bool, in scenario: Scenario) async throws -> RunningSystem {
        let (front, middle) = (try FreePorts.next(), try FreePorts.next())
        let certificate = hasTLS ? try await Certificate.make(in: scenario) : nil
        var (binding, server) = ("", "")
        if let certificate {
            // HAProxy reads the certificate and the key from one file.
            let both = try certificate.joined(in: scenario)
            binding = " ssl crt \(both)"
            server = " ssl verify required ca-file \(certificate.authority) sni str(localhost) verifyhost localhost"
        }
        let inner = try await relay("inner", at: middle, binding, to: backend, "", in: scenario)
        let outer = try await relay("outer", at: front, "", to: middle, server, in: scenario)
        return RunningSystem(port: front, tunnel: [outer, inner])
    }

    private static func relay(
        _ name: String,
        at port: UInt16,
        _ binding: String,
        to target: UInt16,
        _ server: String,
        in scenario: Scenario
    ) async throws -> ChildProcess {
        let file = "\(scenario.directory)/\(name).cfg"
        try scenario.write(
            """
            global
                maxconn \(min(DescriptorLimit.visitors, MeasureCommand.visitorLimit) + 100)
            defaults
                mode tcp
                timeout connect 10s
                timeout client 10m
                timeout server 10m
            listen relay
                bind 127.0.0.1:\(port) backlog 4096\(binding)
                server next 127.0.0.1:\(target)\(server)

            """,
            to: file
        )
        let process = try scenario.start(name, Program.haproxy.required(), ["-db", "-f", file], isKilled: true)
        try await waitUntilListening(port, process)
        return process
    }
}

extension Certificate {
    /// A file with the certificate and its key.
    fileprivate func joined(in scenario: Scenario) throws -> String {
        let file = "\(scenario.directory)/both.pem"
        let parts = try [certificate, key].map { try String(contentsOfFile: $0, encoding: .utf8) }
        try scenario.write(parts.joined(), to: file)
        return file
    }
}
