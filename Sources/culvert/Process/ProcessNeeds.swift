import CProcess
import NIOCore
import Platform

/// What a command needs of the system before it begins. The libraries below end a process without a word, or wait for
/// ever, if they get no thread or no descriptor; so both are tried first.
enum ProcessNeeds {
    private static let roles: Set<String> = ["server", "client", "demo"]
    /// Other commands: a loop at most, and the log.
    private static let fewThreads = 6
    private static let fewDescriptors = 12

    /// Threads beside the first one, for a command.
    ///
    /// A role has event loops, a pool for files, and the pool of Swift's tasks, each as large as the machine; and some
    /// more for the log, signals and timers.
    static func threads(of command: String?, cores: Int = System.coreCount) -> Int {
        isRole(command) ? 3 * cores + 8 : fewThreads
    }

    /// Descriptors beside the standard streams, for a command: three for each event loop, and for a role those of its
    /// listeners, its carrier and its files.
    static func descriptors(of command: String?, cores: Int = System.coreCount) -> Int {
        isRole(command) ? 3 * cores + 32 : fewDescriptors
    }

    private static func isRole(_ command: String?) -> Bool { command.map(roles.contains) ?? false }

    /// Tries whether the process may have what the command needs.
    ///
    /// - Throws: a failure that names what is short.
    static func check(_ command: String?) throws(Failure) {
        // It has bounds of its own, and no loops.
        guard command != EvaluateCommand.configuration.commandName else { return }
        let descriptors = descriptors(of: command)
        guard canHave(descriptors: descriptors) else {
            throw Failure(
                .system,
                "too few file descriptors: \(descriptors + 3) are needed to start; raise the limit (ulimit -n)"
            )
        }
        let threads = threads(of: command)
        guard culvert_can_have_threads(Int32(threads)) != 0 else {
            throw Failure(
                .system,
                "too few threads: \(threads + 1) are needed to start; raise the limit of processes (ulimit -u, TasksMax, "
                    + "pids.max) or of memory"
            )
        }
    }

    private static func canHave(descriptors count: Int) -> Bool {
        var opened: [Int32] = []
        defer { for descriptor in opened { close(descriptor) } }
        for _ in 0..<count {
            let descriptor = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3)
            guard descriptor >= 0 else { return false }
            opened.append(descriptor)
        }
        return true
    }
}
