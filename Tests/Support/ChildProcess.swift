import Foundation
import Synchronization

/// The end of a process.
public enum ProcessEnd: Sendable, Hashable, CustomStringConvertible {
    /// It exited with a code.
    case exited(Int32)
    /// A signal ended it.
    case signalled(Int32)

    /// A description for errors.
    public var description: String {
        switch self {
        case .exited(let code): "exit code \(code)"
        case .signalled(let number): "signal \(number)"
        }
    }
}

/// A process of a test, with its output by line.
public final class ChildProcess: Sendable, CustomStringConvertible {
    /// The name in this scenario: `client`, `squid`.
    public let name: String
    /// The process id.
    public let pid: Int32
    /// Standard output.
    public let output: LineLog
    /// Standard error.
    public let errors: LineLog
    private let status: StatusBox

    private final class StatusBox: Sendable {
        let value = Mutex<ProcessEnd?>(nil)
    }

    /// Starts a program.
    ///
    /// - Parameters:
    ///   - name: the name in this scenario.
    ///   - executable: the path of the program.
    ///   - arguments: the arguments without the program's name.
    ///   - environment: the whole environment.
    ///   - directory: the working directory.
    ///   - input: standard input.
    public init(
        name: String,
        executable: String,
        arguments: [String],
        environment: [String: String],
        directory: String,
        input: StandardInput = .empty
    ) throws {
        let child = try Spawn(executable, arguments, environment: environment, directory: directory, input: input)
        let (status, pid) = (StatusBox(), child.pid)
        Thread.detachNewThread {
            Spawn.wait(pid)
            // The lock ensures that no signal reaches another process with the same id.
            status.value.withLock { $0 = Spawn.reap(pid) }
        }
        self.name = name
        self.pid = pid
        self.status = status
        self.output = LineLog(reading: child.output)
        self.errors = LineLog(reading: child.errors)
    }

    /// The end of the process; nil while it runs.
    public var exitStatus: ProcessEnd? { status.value.withLock { $0 } }

    /// Waits for the end of the process and of its output.
    public func exitStatus(within limit: Duration = .seconds(20)) async throws -> ProcessEnd {
        let status = try await eventually("\(name) ends", within: limit, found: { self.description }) {
            self.exitStatus
        }
        try await eventually("the output of \(name) is complete", within: .seconds(2)) {
            self.output.isComplete && self.errors.isComplete
        }
        return status
    }

    /// Waits for a line on standard output. Lines before the call count.
    ///
    /// - Parameter skip: the number of matching lines to skip, for a repeated event.
    public func line(
        skip: Int = 0,
        within limit: Duration = .seconds(20),
        where matches: @escaping @Sendable (String) -> Bool
    ) async throws -> String {
        try await line(in: output, of: "standard output", skip: skip, within: limit, where: matches)
    }

    /// Waits for a line on standard error. Lines before the call count.
    public func logLine(
        skip: Int = 0,
        within limit: Duration = .seconds(20),
        where matches: @escaping @Sendable (String) -> Bool
    ) async throws -> String {
        try await line(in: errors, of: "standard error", skip: skip, within: limit, where: matches)
    }

    private func line(
        in log: LineLog,
        of stream: String,
        skip: Int,
        within limit: Duration,
        where matches: @escaping @Sendable (String) -> Bool
    ) async throws -> String {
        let what = "a line on \(stream) of \(name)"
        return try await eventually(what, within: limit, found: { self.description }) {
            let hasEnded = self.exitStatus != nil && log.isComplete
            if let line = log.lines.lazy.filter(matches).dropFirst(skip).first { return line }
            if hasEnded { throw ScenarioFailure(description: "it ended without \(what). \(self)") }
            return nil
        }
    }

    /// Sends a signal to this process alone.
    public func signal(_ number: Int32) {
        status.value.withLock { status in
            if status == nil { _ = Foundation.kill(pid, number) }
        }
    }

    /// Ends the process with SIGTERM, and with SIGKILL after `timeout`.
    public func end(timeout: Duration = .seconds(3)) async {
        signal(SIGTERM)
        signal(SIGCONT)
        do {
            try await eventually("end", within: timeout) { self.exitStatus != nil }
        } catch {
            await kill()
        }
    }

    /// Ends the process with SIGKILL, and waits for its end.
    public func kill() async {
        signal(SIGKILL)
        try? await eventually("killed", within: .seconds(5)) { self.exitStatus != nil }
    }

    /// The name, the state and the last lines of both outputs.
    public var description: String {
        let state = exitStatus.map { "\($0)" } ?? "running"
        return
            "[\(name) \(pid), \(state)]\n--- out\n\(output.text.suffix(2_000))\n--- err\n\(errors.text.suffix(4_000))\n"
    }
}
