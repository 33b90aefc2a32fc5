import Foundation
import Synchronization

/// How a process ended.
public enum ProcessEnd: Sendable, Hashable, CustomStringConvertible {
    /// By itself, with a code.
    case exited(Int32)
    /// By a signal.
    case signalled(Int32)

    /// In words.
    public var description: String {
        switch self {
        case .exited(let code): "exit code \(code)"
        case .signalled(let number): "signal \(number)"
        }
    }
}

/// A real program that a test has started: its output line by line, its end, and a sure way to end it.
public final class ChildProcess: Sendable, CustomStringConvertible {
    /// What it is in this scenario: `client`, `squid`.
    public let name: String
    /// Its process id.
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
    ///   - name: what it is in this scenario.
    ///   - executable: its path.
    ///   - arguments: without its own name.
    ///   - environment: all of its environment.
    ///   - directory: where it runs.
    public init(
        name: String,
        executable: String,
        arguments: [String],
        environment: [String: String],
        directory: String
    ) throws {
        let child = try Spawn(executable, arguments, environment: environment, directory: directory)
        let (status, pid) = (StatusBox(), child.pid)
        Thread.detachNewThread {
            Spawn.wait(pid)
            // No signal may reach a stranger that has got the number.
            status.value.withLock { $0 = Spawn.reap(pid) }
        }
        self.name = name
        self.pid = pid
        self.status = status
        self.output = LineLog(reading: child.output)
        self.errors = LineLog(reading: child.errors)
    }

    /// How it ended, nil while it runs.
    public var exitStatus: ProcessEnd? { status.value.withLock { $0 } }

    /// Waits for its end, and for the last of its output.
    public func exitStatus(within limit: Duration = .seconds(20)) async throws -> ProcessEnd {
        let status = try await eventually("\(name) ends", within: limit, found: { self.description }) {
            self.exitStatus
        }
        try await eventually("the output of \(name) is complete", within: .seconds(2)) {
            self.output.isComplete && self.errors.isComplete
        }
        return status
    }

    /// Waits for a line on standard output; lines of the past count.
    ///
    /// - Parameter skip: how many that match are passed over, for an event that comes again.
    public func line(
        skip: Int = 0,
        within limit: Duration = .seconds(20),
        where matches: @escaping @Sendable (String) -> Bool
    ) async throws -> String {
        try await line(in: output, of: "standard output", skip: skip, within: limit, where: matches)
    }

    /// Waits for a line on standard error; lines of the past count.
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

    /// Sends a signal, to this process alone.
    public func signal(_ number: Int32) {
        status.value.withLock { status in
            if status == nil { _ = Foundation.kill(pid, number) }
        }
    }

    /// Ends it: SIGTERM, and SIGKILL where that does not help within `patience`.
    public func end(patience: Duration = .seconds(3)) async {
        signal(SIGTERM)
        signal(SIGCONT)
        do {
            try await eventually("end", within: patience) { self.exitStatus != nil }
        } catch {
            await kill()
        }
    }

    /// SIGKILL, and waits until it is gone.
    public func kill() async {
        signal(SIGKILL)
        try? await eventually("killed", within: .seconds(5)) { self.exitStatus != nil }
    }

    /// Name, state and the ends of both outputs.
    public var description: String {
        let state = exitStatus.map { "\($0)" } ?? "running"
        return
            "[\(name) \(pid), \(state)]\n--- out\n\(output.text.suffix(2_000))\n--- err\n\(errors.text.suffix(4_000))\n"
    }
}
