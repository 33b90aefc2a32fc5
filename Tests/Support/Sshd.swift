import Foundation

/// A running sshd on loopback, with its own host key, for the current user and one key.
public struct Sshd: Sendable {
    /// The process.
    public let process: ChildProcess
    /// The port on which it listens.
    public let port: UInt16
    private let folder: String

    /// Starts a server on both loopback addresses, if the machine has both.
    ///
    /// - Parameter host: its machine; nil for this one.
    public static func start(in scenario: Scenario, on host: HostNetwork.Host? = nil) async throws -> Sshd {
        let port = try FreePorts.next()
        let folder = try scenario.folder("sshd-\(port)")
        for name in ["host", "user"] {
            try await scenario.run(.sshKeygen, ["-q", "-t", "ed25519", "-N", "", "-f", "\(folder)/\(name)"])
        }
        let addresses = (TCPService.hasIPv6 ? ["[::1]"] : []) + ["127.0.0.1"]
        try scenario.write(
            """
            \(addresses.map { "ListenAddress \($0):\(port)" }.joined(separator: "\n"))
            HostKey \(folder)/host
            AuthorizedKeysFile \(folder)/user.pub
            StrictModes no
            PidFile none
            PasswordAuthentication no
            KbdInteractiveAuthentication no
            PermitRootLogin prohibit-password
            Subsystem sftp internal-sftp

            """,
            to: "\(folder)/sshd_config"
        )
        let hostKey = try String(contentsOfFile: "\(folder)/host.pub", encoding: .utf8)
        try scenario.write(
            ["127.0.0.1", "::1"].map { "[\($0)]:\(port) \(hostKey)" }.joined(),
            to: "\(folder)/known_hosts"
        )
        // An sshd that runs as root needs this folder, which its service creates.
        if geteuid() == 0 {
            try FileManager.default.createDirectory(atPath: "/run/sshd", withIntermediateDirectories: true)
        }
        let command = [try Program.sshd.required(), "-D", "-e", "-f", "\(folder)/sshd_config"]
        let process = try scenario.start("sshd", try host?.command(command) ?? command, isKilled: true)
        if let host {
            try await eventually("sshd listens", found: { process.description }) { (try? host.connect(port)) != nil }
        } else {
            try await waitUntilListening(port, process)
        }
        return Sshd(process: process, port: port, folder: folder)
    }

    /// Runs a command at the server, in an SSH session.
    ///
    /// - Parameters:
    ///   - address: the address of the server, of either family.
    ///   - proxyCommand: the command whose standard streams are the connection; `%h` and `%p` are the server's.
    ///   - input: standard input of the command.
    public func run(
        _ command: String,
        at address: String = "127.0.0.1",
        in scenario: Scenario,
        through proxyCommand: String,
        input: StandardInput = .empty
    ) throws -> ChildProcess {
        let arguments = ["-T"] + options + ["-o", "ProxyCommand=\(proxyCommand)"]
        return try scenario.start(
            "ssh",
            Program.ssh.required(),
            arguments + ["-p", "\(port)", "-l", NSUserName(), address, command],
            input: input
        )
    }

    /// Runs a command at the server, in an SSH session over a port of the machine's loopback that leads to it.
    ///
    /// - Parameters:
    ///   - host: the machine of the user; nil for this one.
    ///   - input: standard input of the command.
    public func run(
        _ command: String,
        port: UInt16,
        in scenario: Scenario,
        on host: HostNetwork.Host? = nil,
        input: StandardInput = .empty
    ) throws -> ChildProcess {
        var line = [try Program.ssh.required(), "-T"] + options
        line += ["-p", "\(port)", "-l", NSUserName(), "127.0.0.1", command]
        if let host { line = try host.command(line) }
        return try scenario.start("ssh", line[0], Array(line.dropFirst()), input: input)
    }

    /// The bytes of the host key, which a server sends readably at the start of each session.
    public func hostKey() throws -> [UInt8] {
        let text = try String(contentsOfFile: "\(folder)/host.pub", encoding: .utf8)
        let words = text.split(separator: " ")
        guard words.count > 1, let key = Data(base64Encoded: String(words[1])) else {
            throw ScenarioFailure(description: "no host key in: \(text)")
        }
        return [UInt8](key)
    }

    /// Copies a file to a path at the server, by scp.
    ///
    /// - Parameters:
    ///   - port: the port that leads to the server.
    ///   - further: further arguments of scp.
    public func copy(
        _ file: String,
        to path: String,
        port: UInt16,
        in scenario: Scenario,
        _ further: [String] = []
    ) throws -> ChildProcess {
        try scenario.start(
            "scp",
            Program.scp.required(),
            ["-q"] + options + further + ["-P", "\(port)", file, "\(NSUserName())@127.0.0.1:\(path)"]
        )
    }

    /// The options of ssh and scp. The host key is that of this server at any port.
    private var options: [String] {
        let settings = [
            "BatchMode=yes", "StrictHostKeyChecking=yes", "UserKnownHostsFile=\(folder)/known_hosts",
            "IdentitiesOnly=yes", "HostKeyAlias=[127.0.0.1]:\(port)",
        ]
        return ["-F", "/dev/null", "-i", "\(folder)/user"] + settings.flatMap { ["-o", $0] }
    }
}
