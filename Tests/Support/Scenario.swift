import Foundation
import Synchronization

/// One scene of an end-to-end test: a temporary directory, a token, and the processes and services that run in
/// it, all of which are gone when it ends.
public final class Scenario: Sendable {
    /// A fresh directory.
    public let directory: String
    /// The token that both sides share unless a test says otherwise.
    public let token: String
    /// Where it is kept.
    public let tokenFile: String
    /// The scene that the running test plays.
    @TaskLocal static var current: Scenario?

    private let processes = Mutex<[(process: ChildProcess, isKilled: Bool)]>([])
    /// Those of the program under test, whose words are looked at.
    private let speakers = Mutex<[ChildProcess]>([])
    private let services = Mutex<[TCPService]>([])

    private init() throws {
        let template = FileManager.default.temporaryDirectory.appendingPathComponent("culvert-XXXXXX").path
        var name = Array(template.utf8CString)
        guard mkdtemp(&name) != nil else { throw SocketError.system(call: "mkdtemp", errno: errno) }
        directory = template.dropLast(6) + String(decoding: name.dropLast().suffix(6).map(UInt8.init), as: UTF8.self)
        // Daemons started by root continue as somebody else, who must reach their own folders below.
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: directory)
        token = "e2e-" + randomBytes(24).map { ["b", "k", "t", "z"][Int($0 & 3)] }.joined()
        tokenFile = directory + "/token"
        try Data((token + "\n").utf8).write(to: URL(fileURLWithPath: tokenFile))
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: tokenFile)
    }

    /// Plays a scene and clears up after it, whatever happened. When it throws, what the processes wrote is shown.
    public static func play<T: Sendable>(_ body: (Scenario) async throws -> T) async throws -> T {
        let scenario = try Scenario()
        do {
            let value = try await $current.withValue(scenario) { try await body(scenario) }
            await scenario.clear(showing: TestRun.showsLogs)
            try scenario.expectPlainWords()
            return value
        } catch {
            await scenario.clear(showing: true)
            throw error
        }
    }

    private func clear(showing: Bool) async {
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

    func listen(to process: ChildProcess) {
        speakers.withLock { $0.append(process) }
    }

    /// Whatever a scene is about, no line of ours shows a library's insides.
    private func expectPlainWords() throws {
        for process in speakers.withLock({ $0 }) {
            for line in process.output.lines + process.errors.lines {
                guard let mark = Insides.found(in: line) else { continue }
                throw ScenarioFailure(description: "\(process.name) shows its insides (\(mark)): \(line)")
            }
        }
    }

    func keep(_ service: TCPService) {
        services.withLock { $0.append(service) }
    }

    /// Starts a program.
    ///
    /// - Parameters:
    ///   - environment: what it finds beside the test's own environment, from which proxies, tickets and everything of
    ///     ours are taken out.
    ///   - isKilled: whether the scene's end kills it at once, for a program that takes seconds to end in order.
    public func start(
        _ name: String,
        _ executable: String,
        _ arguments: [String],
        environment: [String: String] = [:],
        isKilled: Bool = false
    ) throws -> ChildProcess {
        var clean = ProcessInfo.processInfo.environment.filter { key, _ in
            !key.lowercased().hasSuffix("_proxy") && !key.hasPrefix("CULVERT_") && !key.hasPrefix("KRB5")
                && key != "NETRC"
        }
        clean["HOME"] = directory
        // Only root sees the descriptors of a process that hides its memory.
        if geteuid() != 0 { clean["CULVERT_DUMPABLE"] = "1" }
        clean.merge(environment) { _, new in new }
        let process = try ChildProcess(
            name: name,
            executable: executable,
            arguments: arguments,
            environment: clean,
            directory: directory
        )
        processes.withLock { $0.append((process, isKilled)) }
        return process
    }

    /// Runs a program to its end, which must be a good one.
    ///
    /// - Returns: what it wrote to standard output.
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

    /// A new folder of this scene that any user may write to.
    public func folder(_ name: String) throws -> String {
        let path = "\(directory)/\(name)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try FileManager.default.setAttributes([.posixPermissions: 0o777], ofItemAtPath: path)
        return path
    }

    /// Writes a file that any user may read.
    public func write(_ text: String, to path: String) throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        try openForAll(path)
    }

    /// Lets any user read a file: a daemon that root has started, for instance.
    public func openForAll(_ path: String) throws {
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: path)
    }
}

/// Waits until a port answers.
public func listens(_ port: UInt16, _ process: ChildProcess, within limit: Duration = .seconds(20)) async throws {
    try await eventually("\(process.name) listens on \(port)", within: limit, found: { process.description }) {
        if let status = process.exitStatus { throw ScenarioFailure(description: "it ended with \(status). \(process)") }
        return (try? TCPSocket(port: port)) != nil
    }
}

/// The lines of a log file that contain all of `words`; none where there is no file yet.
public func logLines(_ path: String, containing words: [String]) -> [String] {
    let bytes = FileManager.default.contents(atPath: path) ?? Data()
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init).filter { line in
        words.allSatisfy { line.contains($0) }
    }
}
