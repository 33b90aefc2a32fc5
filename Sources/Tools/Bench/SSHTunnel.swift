import Foundation
import TestSupport

/// `ssh -R` to an sshd of the trial, with generated keys.
enum SSHTunnel {
    static func start(before backend: UInt16, in scenario: Scenario) async throws -> RunningSystem {
        let (front, port) = (try FreePorts.next(), try FreePorts.next())
        let folder = scenario.directory
        for name in ["host", "user"] {
            try await scenario.run(.sshKeygen, ["-q", "-t", "ed25519", "-N", "", "-f", "\(folder)/\(name)"])
        }
        try scenario.write(
            """
            ListenAddress 127.0.0.1:\(port)
            HostKey \(folder)/host
            AuthorizedKeysFile \(folder)/user.pub
            StrictModes no
            PidFile none
            PasswordAuthentication no
            KbdInteractiveAuthentication no
            PermitRootLogin prohibit-password
            LogLevel ERROR

            """,
            to: "\(folder)/sshd_config"
        )
        // An sshd that runs as root needs this folder, which its service creates.
        if geteuid() == 0 {
            try FileManager.default.createDirectory(atPath: "/run/sshd", withIntermediateDirectories: true)
        }
        let server = try scenario.start(
            "sshd",
            Program.sshd.required(),
            ["-D", "-e", "-f", "\(folder)/sshd_config"],
            isKilled: true
        )
        try await waitUntilListening(port, server)
        let options = [
            "BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "IdentitiesOnly=yes",
            "ExitOnForwardFailure=yes", "LogLevel=ERROR",
        ]
        let client = try scenario.start(
            "ssh",
            Program.ssh.required(),
            ["-F", "/dev/null", "-N", "-T"] + options.flatMap { ["-o", $0] } + [
                "-i", "\(folder)/user", "-p", "\(port)", "-R", "127.0.0.1:\(front):127.0.0.1:\(backend)",
                "\(NSUserName())@127.0.0.1",
            ],
            isKilled: true
        )
        try await waitUntilListening(front, client)
        return RunningSystem(port: front, tunnel: [server, client])
    }
}
