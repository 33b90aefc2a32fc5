import CSpawn
import Platform
import Synchronization
import Tunnel

/// Runs a child process with bounds for its time and its output, and kills it at the bound.
///
/// The child is made with `posix_spawn`, and a separate thread watches it.
struct BoundedChild: Sendable {
    /// The end of the process.
    enum End: Sendable, Equatable {
        case exited(Int32)
        case crashed(signal: Int32)
        /// Killed at the end of its time.
        case late
        /// Killed because of too much output.
        case tooMuchOutput
    }

    struct Result: Sendable {
        var end: End
        var output: [UInt8]
        /// The beginning of standard error.
        var errors: [UInt8]
    }

    let executable: String
    let arguments: [String]
    let environment: [String: String]
    let input: [UInt8]
    let timeout: Duration
    let longestOutput: Int
    let longestErrors: Int

    /// Runs the process.
    ///
    /// - Throws: if the system cannot start it, or if the task is cancelled, after the process was killed.
    func result() async throws -> Result {
        let isCancelled = Flag()
        let result = try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let isStarted = DetachedThread.start {
                    continuation.resume(with: Swift.Result { try run(until: isCancelled) })
                }
                if !isStarted { continuation.resume(throwing: SpawnFailure(what: "a thread", number: EAGAIN)) }
            }
        } onCancel: {
            isCancelled.value.withLock { $0 = true }
        }
        try Task.checkCancellation()
        return result
    }

    private final class Flag: Sendable {
        let value = Mutex(false)
    }

    private func run(until isCancelled: Flag) throws -> Result {
        // A write to a child that has ended must fail and not raise a signal. No other code runs on this thread.
        var broken = sigset_t()
        sigemptyset(&broken)
        sigaddset(&broken, SIGPIPE)
        pthread_sigmask(SIG_BLOCK, &broken, nil)
        let (input, output, errors) = (try ChildPipe(), try ChildPipe(), try ChildPipe())
        let pid = try spawn(input.reading, output.writing, errors.writing)
        input.closeReading()
        output.closeWriting()
        errors.closeWriting()
        let deadline = ContinuousClock.now + timeout
        var unsent = self.input[...]
        var result = Result(end: .late, output: [], errors: [])
        while true {
            if unsent.isEmpty { input.closeWriting() }
            if output.reading < 0, errors.reading < 0, let end = Self.ended(pid) {
                result.end = end
                return result
            }
            guard ContinuousClock.now < deadline, !isCancelled.value.withLock({ $0 }) else { break }
            var events = [
                pollfd(fd: input.writing, events: Int16(POLLOUT), revents: 0),
                pollfd(fd: output.reading, events: Int16(POLLIN), revents: 0),
                pollfd(fd: errors.reading, events: Int16(POLLIN), revents: 0),
            ]
            // The timeout is short, because the child's end and our cancellation are not among the events.
            _ = poll(&events, nfds_t(events.count), output.reading < 0 && errors.reading < 0 ? 2 : 50)
            if events[0].revents != 0 { unsent = input.write(unsent) }
            if events[1].revents != 0 { result.output += output.read() }
            if events[2].revents != 0 { result.errors = Array((result.errors + errors.read()).prefix(longestErrors)) }
            if result.output.count > longestOutput {
                result.end = .tooMuchOutput
                break
            }
        }
        // The child has not been waited for, so its number still belongs to it.
        kill(pid, SIGKILL)
        while waitpid(pid, nil, 0) < 0, errno == EINTR {}
        return result
    }

    private func spawn(_ input: Int32, _ output: Int32, _ errors: Int32) throws -> pid_t {
        #if canImport(Darwin)
        var actions: posix_spawn_file_actions_t?
        var attributes: posix_spawnattr_t?
        #else
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        #endif
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for (descriptor, number) in [(input, STDIN_FILENO), (output, STDOUT_FILENO), (errors, STDERR_FILENO)] {
            posix_spawn_file_actions_adddup2(&actions, descriptor, number)
        }
        // The child gets no sockets and no files with secrets.
        culvert_spawn_close_from(&actions, STDERR_FILENO + 1)
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // The threads of tasks block signals, which must be able to end the child.
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        // A child inherits ignored signals.
        var defaults = sigset_t()
        sigemptyset(&defaults)
        sigaddset(&defaults, SIGPIPE)
        posix_spawnattr_setsigdefault(&attributes, &defaults)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        var arguments: [UnsafeMutablePointer<CChar>?] = ([executable] + self.arguments).map { strdup($0) }
        var environment: [UnsafeMutablePointer<CChar>?] = self.environment.map { strdup("\($0)=\($1)") }
        defer { for text in arguments + environment { free(text) } }
        arguments.append(nil)
        environment.append(nil)
        var pid: pid_t = 0
        let number = posix_spawn(&pid, executable, &actions, &attributes, arguments, environment)
        guard number == 0 else { throw SpawnFailure(what: executable, number: number) }
        return pid
    }

    /// The end of the process; nil while it runs.
    private static func ended(_ pid: pid_t) -> End? {
        var status: Int32 = 0
        let waited = waitpid(pid, &status, WNOHANG)
        if waited == 0 || (waited < 0 && errno == EINTR) { return nil }
        // If other code has waited for the child, the end is unknown.
        guard waited == pid else { return .exited(-1) }
        let signal = status & 0x7F
        return signal == 0 ? .exited(status >> 8 & 0xFF) : .crashed(signal: signal)
    }
}
