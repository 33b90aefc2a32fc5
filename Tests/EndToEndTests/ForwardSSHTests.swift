import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// `-W` as the ProxyCommand of OpenSSH, to a real sshd.
    @Suite(.serialized)
    struct ForwardSSHTests {
        static let password = "pa:ss@w%rd/1"

        @Test(
            "An ssh session through -W survives the loss of its carrier and a restart of the proxy",
            .needs(.sshd, .ssh, .sshKeygen, .squid, .squidBasic, .openssl),
            arguments: ["127.0.0.1"] + (TCPService.hasIPv6 ? ["::1"] : [])
        )
        func session(_ address: String) async throws {
            try await Scenario.run { scenario in
                let sshd = try await Sshd.start(in: scenario)
                let server = try await scenario.server(allowing: ["localhost:\(sshd.port)"])
                let relay = try FaultRelay(to: server.port)
                let squid = try await Squid.start(in: scenario, user: "alma", password: Self.password)
                let input = try InputPipe()
                let ssh = try sshd.run(
                    "cat",
                    at: address,
                    in: scenario,
                    through: try Self.proxyCommand(relay.port, squid, scenario),
                    input: .pipe(input)
                )
                try input.send("first\n")
                _ = try await ssh.line { $0 == "first" }
                relay.cut(.reset)
                _ = try await ssh.logLine { $0.contains("session resumed") }
                try input.send("after the loss\n")
                _ = try await ssh.line { $0 == "after the loss" }
                await squid.process.kill()
                let again = try await squid.restarted(in: scenario)
                _ = try await ssh.logLine(skip: 1) { $0.contains("session resumed") }
                try input.send("after the restart\n")
                input.finish()
                #expect(try await ssh.exitStatus() == .exited(0), "\(ssh)")
                #expect(ssh.output.lines == ["first", "after the loss", "after the restart"])
                #expect(sshd.process.errors.lines.count { $0.contains("Accepted publickey") } == 1, "\(sshd.process)")
                // Squid was killed before it logged the second carrier.
                try await eventually("Squid logs the first carrier and the last one") {
                    again.tunnels(to: relay.port).count == 2
                }
            }
        }

        @Test(
            "A large transfer by ssh through -W survives the loss of its carriers",
            .needs(.sshd, .ssh, .sshKeygen, .squid, .squidBasic, .openssl)
        )
        func transfer() async throws {
            try await Scenario.run { scenario in
                let sshd = try await Sshd.start(in: scenario)
                let server = try await scenario.server(allowing: ["127.0.0.1:\(sshd.port)"])
                let relay = try FaultRelay(to: server.port)
                let squid = try await Squid.start(in: scenario, user: "alma", password: Self.password)
                let input = try InputPipe()
                let copy = "\(scenario.directory)/copy"
                let ssh = try sshd.run(
                    "cat > \(copy)",
                    in: scenario,
                    through: try Self.proxyCommand(relay.port, squid, scenario),
                    input: .pipe(input)
                )
                let upload = randomBytes(6_000_000)
                for round in 0..<3 {
                    let piece = Array(upload[round * 2_000_000..<(round + 1) * 2_000_000])
                    // The pipe holds 64 KiB, so most of the piece is on its way.
                    try await onThread { try input.send(piece) }
                    relay.cut(.truncated)
                    _ = try await ssh.logLine(skip: round) { $0.contains("session resumed") }
                }
                input.finish()
                #expect(try await ssh.exitStatus(within: .seconds(60)) == .exited(0), "\(ssh)")
                #expect(FileManager.default.contents(atPath: copy) == Data(upload))
            }
        }

        private static func proxyCommand(_ port: UInt16, _ squid: Squid, _ scenario: Scenario) throws -> String {
            let passwordFile = "\(scenario.directory)/proxy-password"
            try scenario.write(password, to: passwordFile)
            let words =
                [try CulvertExecutable.path()] + scenario.stdioArguments("ws://127.0.0.1:\(port)", "%h:%p") + [
                    "--proxy", squid.url, "--proxy-user", "alma", "--proxy-password-file", passwordFile,
                    // With a second one, which a client on a busy machine may open, a cut would not be a resume.
                    "--carriers", "1",
                ]
            return words.joined(separator: " ")
        }
    }
}
