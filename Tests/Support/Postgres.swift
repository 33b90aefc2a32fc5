import Foundation

/// A running PostgreSQL with a new, empty database, which listens on a socket in the file system only.
public struct Postgres: Sendable {
    /// The process.
    public let process: ChildProcess
    /// The folder of the socket.
    public let folder: String
    /// The socket.
    public var socket: String { "\(folder)/.s.PGSQL.5432" }
    /// Whether all programs are installed that the functions below need.
    public static var isInstalled: Bool {
        let programs = [Program.postgres, .initdb, .psql, .pgDump] + (geteuid() == 0 ? [.setpriv] : [])
        return programs.allSatisfy { $0.path != nil }
    }

    /// Creates the database, and starts the server. Every user of the machine is its administrator.
    ///
    /// As root, the server runs as the user `postgres`, because it refuses to run as root.
    public static func start(in scenario: Scenario) async throws -> Postgres {
        let folder = try scenario.folder("postgres")
        let data = "\(folder)/data"
        func start(_ program: Program, _ arguments: [String], isKilled: Bool = false) throws -> ChildProcess {
            var command = [try program.required()] + arguments
            if geteuid() == 0 {
                let user = ["--reuid", "postgres", "--regid", "postgres", "--clear-groups"]
                command = [try Program.setpriv.required()] + user + command
            }
            return try scenario.start(program.name, command[0], Array(command.dropFirst()), isKilled: isKilled)
        }
        let creation = try start(.initdb, ["-D", data, "-U", "tester", "-A", "trust", "--no-sync", "--no-locale"])
        guard try await creation.exitStatus(within: .seconds(60)) == .exited(0) else {
            throw ScenarioFailure(description: "no database. \(creation)")
        }
        let process = try start(
            .postgres,
            ["-D", data, "-k", folder, "-c", "listen_addresses=", "-c", "fsync=off"],
            isKilled: true
        )
        _ = try await process.logLine { $0.contains("ready to accept connections") }
        return Postgres(process: process, folder: folder)
    }

    /// Runs one SQL command through a port of loopback.
    ///
    /// - Returns: the result without alignment.
    public static func query(_ command: String, port: UInt16, in scenario: Scenario) async throws -> String {
        try await scenario.run(
            .psql,
            ["-X", "-A", "-t", "-h", "127.0.0.1", "-p", "\(port)", "-U", "tester", "-d", "postgres", "-c", command]
        )
    }

    /// Dumps the database through a port of loopback.
    ///
    /// - Returns: the dump, as SQL.
    public static func dump(port: UInt16, in scenario: Scenario) async throws -> String {
        try await scenario.run(
            .pgDump,
            ["-h", "127.0.0.1", "-p", "\(port)", "-U", "tester", "-d", "postgres"]
        )
    }
}
