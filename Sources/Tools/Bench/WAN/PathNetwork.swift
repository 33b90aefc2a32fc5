import Foundation
import TestSupport

/// Two hosts with a path between them: the client with the service, and the server with the visitors.
struct PathNetwork: Sendable {
    /// A host.
    enum Host: Sendable {
        case client
        case server

        /// The address on the path.
        var address: String {
            switch self {
            case .client: "10.99.0.1"
            case .server: "10.99.0.2"
            }
        }
    }

    private static let executable = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().path

    private let process: ChildProcess
    private let announcement: PathCommand.Announcement
    private let input: InputPipe
    private let scenario: Scenario

    /// The reason why there can be no path here; nil if there can.
    static var notReadyReason: String? {
        if geteuid() != 0 { return "needs root" }
        if Program.ip.path == nil { return "ip is not installed (apt-get install \(Program.ip.package))" }
        return access("/dev/net/tun", R_OK | W_OK) == 0 ? nil : "needs /dev/net/tun (modprobe tun)"
    }

    /// Starts the path.
    init(_ shape: PathShape, congestionControl: String, seed: UInt64, in scenario: Scenario) async throws {
        self.scenario = scenario
        input = try InputPipe()
        process = try scenario.start(
            "path",
            Self.executable,
            ["path", "--shape", shape.argument, "--seed", "\(seed)"],
            input: .pipe(input),
            isKilled: true
        )
        announcement = try JSONLine.read(try await process.line { $0.hasPrefix("{") })
        for host in [Host.client, .server] { try await set(congestionControl, on: host) }
    }

    /// Sets the congestion control of all connections on a host, by its routes: the setting of a namespace allows only what
    /// every user may have.
    private func set(_ congestionControl: String, on host: Host) async throws {
        let kernel = "proto kernel scope"
        let local = "dev lo table local \(kernel) host src \(loopback) congctl \(congestionControl)"
        let file = "\(scenario.directory)/routes-\(host)"
        try scenario.write(
            """
            route replace 10.99.0.0/24 dev path \(kernel) link src \(host.address) congctl \(congestionControl)
            route replace local 127.0.0.0/8 \(local)
            route replace local \(loopback) \(local)

            """,
            to: file
        )
        let process = try start("ip", Program.ip.required(), ["-batch", file], on: host)
        guard try await process.exitStatus() == .exited(0) else {
            throw ScenarioFailure(description: "no congestion control \(congestionControl). \(process)")
        }
    }

    /// Starts a program on a host.
    func start(_ name: String, _ program: String, _ arguments: [String], on host: Host) throws -> ChildProcess {
        let descriptor = host == .client ? announcement.client : announcement.server
        let namespace = "/proc/\(process.pid)/fd/\(descriptor)"
        return try scenario.start(name, Self.executable, ["inside", namespace, program] + arguments, isKilled: true)
    }

    /// Starts a command of this executable on a host.
    func start(_ name: String, _ arguments: [String], on host: Host) throws -> ChildProcess {
        try start(name, Self.executable, arguments, on: host)
    }

    /// Waits until a port of the server accepts connections.
    func waitUntilListening(_ port: UInt16, _ listener: ChildProcess) async throws {
        let name = "await-\(listener.name)"
        let visitor = try start(name, ["load", "await", "--port", "\(port)"], on: .server)
        guard try await visitor.exitStatus(within: .seconds(30)) == .exited(0) else {
            throw ScenarioFailure(description: "\(listener.name) does not listen on \(port). \(listener)")
        }
    }

    /// Ends the path and all processes on its hosts.
    ///
    /// - Returns: the packets that went over it.
    func finish() async throws -> PathCounts {
        input.finish()
        return try JSONLine.read(try await process.line(skip: 1) { $0.hasPrefix("{") })
    }
}
