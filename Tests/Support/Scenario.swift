import Foundation
import Synchronization

/// The environment of an end-to-end test: a temporary directory, a token, processes and services. All are removed at
/// its end.
public final class Scenario: Sendable {
    /// The temporary directory.
    public let directory: String
    /// The default token of both ends.
    public let token: String
    /// The token's file.
    public let tokenFile: String
    /// The folder in which programs keep their state. They make it themselves.
    public let stateHome: String
    /// The scenario of the running test.
    @TaskLocal static var current: Scenario?

    private let processes = Mutex<[(process: ChildProcess, isKilled: Bool)]>([])
    /// The processes of the program under test, whose output is checked.
    private let testedProcesses = Mutex<[ChildProcess]>([])
    private let services = Mutex<[TCPService]>([])

    private init() throws {
        let template = FileManager.default.temporaryDirectory.appendingPathComponent("culvert-XXXXXX").path
        var name = Array(template.utf8CString)
        guard mkdtemp(&name) != nil else { throw SocketError.system(call: "mkdtemp", errno: errno) }
        directory = template.dropLast(6) + String(decoding: name.dropLast().suffix(6).map(UInt8.init), as: UTF8.self)
        // Daemons that root starts change their user, and the new user needs access to the folders below.
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: directory)
        token = "e2e-" + randomBytes(24).map { ["b", "k", "t", "z"][Int($0 & 3)] }.joined()
        tokenFile = directory + "/token"
        stateHome = directory + "/state"
        try Data((token + "\n").utf8).write(to: URL(fileURLWithPath: tokenFile))
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: tokenFile)
    }

    /// Runs a scenario, and removes its resources. If it throws, the output of the processes is shown.
    public static func run<T: Sendable>(_ body: (Scenario) async throws -> T) async throws -> T {
        let scenario = try Scenario()
        do {
            let value = try await $current.withValue(scenario) { try await body(scenario) }
            await scenario.cleanUp(showing: TestRun.showsLogs)
            try scenario.expectNoInternalNames()
            return value
        } catch {
            await scenario.cleanUp(showing: true)
            throw error
        }
    }

    private func cleanUp(showing: Bool) async {
        for (process, isKilled) in processes.withLock({ $0 }).reversed() {
            if isKilled { await process.kill() } else { await process.end() }
            if showing { FileHandle.standardError.write(Data("\(process)\n".utf8)) }
        }
        for service in services.withLock({ $0 }) { service.stop() }
        do {
            try FileManager.default.removeItem(atPath: directory)
        } catch {
            FileHandle.standardError.write(Data("\(directory) is left behind: \(error)\n".utf8))
        }
    }

    func checkOutput(of process: ChildProcess) {
        testedProcesses.withLock { $0.append(process) }
    }

    /// Checks that no line of the program under test shows internal names.
    private func expectNoInternalNames() throws {
        for process in testedProcesses.withLock({ $0 }) {
            for line in process.output.lines + process.errors.lines {
                guard let name = InternalNames.first(in: line) else { continue }
                throw ScenarioFailure(description: "\(process.name) shows internal names (\(name)): \(line)")
            }
        }
    }

    func register(_ service: TCPService) {
        services.withLock { $0.append(service) }
    }

    /// Starts a program.
    ///
    /// - Parameters:
    ///   - environment: additions to the test's environment, from which variables of proxies, Kerberos and Culvert are
    ///     removed.
    ///   - input: standard input.
    ///   - isKilled: whether the scenario kills the program at its end, because the program stops slowly.
    public func start(
        _ name: String,
        _ executable: String,
        _ arguments: [String],
        environment: [String: String] = [:],
        input: StandardInput = .empty,
        isKilled: Bool = false
    ) throws -> ChildProcess {
        var clean = ProcessInfo.processInfo.environment.filter { key, _ in
            !key.lowercased().hasSuffix("_proxy") && !key.hasPrefix("CULVERT_") && !key.hasPrefix("KRB5")
                && key != "NETRC"
        }
        clean["HOME"] = directory
        // The standard admin sockets of the scenario's processes are its own.
        clean["XDG_RUNTIME_DIR"] = directory
        clean["RUNTIME_DIRECTORY"] = nil
        // So are the servers' keys, and the servers that clients know.
        clean["XDG_STATE_HOME"] = stateHome
        clean["STATE_DIRECTORY"] = nil
        // Tests count descriptors, and only root can see those of a process that hides its memory.
        if geteuid() != 0 { clean["CULVERT_DUMPABLE"] = "1" }
        clean.merge(environment) { _, new in new }
        let process = try ChildProcess(
            name: name,
            executable: executable,
            arguments: arguments,
            environment: clean,
            directory: directory,
            input: input
        )
        processes.withLock { $0.append((process, isKilled)) }
        return process
    }

    /// Starts a command line.
    public func start(_ name: String, _ command: [String], isKilled: Bool = false) throws -> ChildProcess {
        try start(name, command[0], Array(command.dropFirst()), isKilled: isKilled)
    }

    /// Runs a program until it exits. The exit code must be 0.
    ///
    /// - Returns: its standard output.
    @discardableResult
    public func run(
        _ program: Program,
        _ arguments: [String],
        environment: [String: String] = [:],
        within limit: Duration = .seconds(30)
    ) async throws -> String {
        let process = try start(program.name, program.required(), arguments, environment: environment)
        guard try await process.exitStatus(within: limit) == .exited(0) else {
            throw ScenarioFailure(description: "\(program) \(arguments) failed. \(process)")
        }
        return process.output.text
    }

    /// Creates a folder of the scenario that any user may write.
    public func folder(_ name: String) throws -> String {
        let path = "\(directory)/\(name)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try FileManager.default.setAttributes([.posixPermissions: 0o777], ofItemAtPath: path)
        return path
    }

    /// Writes a file that any user may read.
    public func write(_ text: String, to path: String) throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        try makeReadable(path)
    }

    /// Lets any user read a file, for instance the user of a daemon that root has started.
    public func makeReadable(_ path: String) throws {
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: path)
    }
}

/// Waits until a port accepts connections.
public func waitUntilListening(_ port: UInt16, _ process: ChildProcess, within limit: Duration = .seconds(20))
    async throws
{
    try await eventually("\(process.name) listens on \(port)", within: limit, found: { process.description }) {
        if let status = process.exitStatus { throw ScenarioFailure(description: "it ended with \(status). \(process)") }
        return (try? TCPSocket(port: port)) != nil
    }
}

/// The lines of a log file that contain all of `words`; empty if there is no file.
public func logLines(_ path: String, containing words: [String]) -> [String] {
    let bytes = FileManager.default.contents(atPath: path) ?? Data()
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init).filter { line in
        words.allSatisfy { line.contains($0) }
    }
}
