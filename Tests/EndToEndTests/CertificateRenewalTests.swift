import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// Certificates that expire, and their replacement while the program runs.
    @Suite(.serialized)
    struct CertificateRenewalTests {
        @Test(
            "An expired certificate, or one that expires soon, causes a warning at the start and at a reload",
            .needs(.openssl)
        )
        func expiry() async throws {
            try await Scenario.run { scenario in
                let old = try await Certificate.make(in: scenario, days: -1, issuer: "Old CA")
                let soon = try await Certificate.make(in: scenario, days: 5, issuer: "New CA")
                let (certificate, key) = ("\(scenario.directory)/link.pem", "\(scenario.directory)/link.key")
                func point(to made: Certificate) throws {
                    for (link, file) in [(certificate, made.certificate), (key, made.key)] {
                        try? FileManager.default.removeItem(atPath: link)
                        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: file)
                    }
                }
                try point(to: old)
                let server = try await scenario.server(options: ["--tls-certificate", certificate, "--tls-key", key])
                _ = try await server.process.logLine {
                    $0.contains("warning") && $0.contains("the certificate has expired on")
                }
                try point(to: soon)
                server.process.signal(SIGHUP)
                _ = try await server.process.logLine {
                    $0.contains("warning") && $0.contains("the certificate expires on")
                }
                let client = try await scenario.expectPage(
                    from: "wss://localhost:\(server.port)",
                    ["--ca", soon.authority, "--tls-certificate", old.certificate, "--tls-key", old.key]
                )
                let line = try await client.process.logLine { $0.contains("the certificate has expired on") }
                expect(line, says: "warning", "--tls-certificate")
            }
        }

        @Test("The permissions of a secret behind a link or a pipe are those of the link's target", .needs(.openssl))
        func permissions() async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let (file, link) = ("\(scenario.directory)/secret", "\(scenario.directory)/to-secret")
                try FileManager.default.copyItem(atPath: scenario.tokenFile, toPath: file)
                try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: file)
                for (mode, causesWarning) in [(0o600, false), (0o644, true)] {
                    try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file)
                    let client = try scenario.culvert(
                        "client",
                        ["client", server.url, "--token-file", link, "-R", "0:127.0.0.1:9"]
                    )
                    _ = try await client.line { $0.hasPrefix("tunnel ") }
                    await client.end()
                    #expect(
                        client.errors.text.contains("others on this machine can read") == causesWarning,
                        "\(client)"
                    )
                }
                let shell = try scenario.start(
                    "shell",
                    "/bin/bash",
                    [
                        "-c",
                        "exec \"$0\" client \"$1\" --token-file <(cat \"$2\") -R 0:127.0.0.1:9",
                        try CulvertExecutable.path(), server.url, file,
                    ]
                )
                _ = try await shell.line { $0.hasPrefix("tunnel ") }
                #expect(!shell.errors.text.contains("others on this machine can read"), "\(shell)")
            }
        }
    }
}
