import CProcess
import NIOCore
import Platform

/// Checks the threads and descriptors that a command needs, before it begins. Without a thread or a descriptor the
/// libraries end the process silently or wait for ever.
enum ProcessNeeds {
    private static let roles: Set<String> = ["server", "client", "demo"]
    /// For other commands: at most one loop, and the log.
    private static let fewThreads = 6
    private static let fewDescriptors = 12

    /// The threads of a command, besides the first one.
    ///
    /// A role has event loops, a pool for files, and a pool for tasks, each with one thread for each core. Some more
    /// are for the log, signals and timers.
    static func threads(of command: String?, cores: Int = System.coreCount) -> Int {
        isRole(command) ? 3 * cores + 8 : fewThreads
    }

    /// The descriptors of a command, besides the standard streams. Each event loop needs three. A role needs more for
    /// listeners, a carrier and files.
    static func descriptors(of command: String?, cores: Int = System.coreCount) -> Int {
        isRole(command) ? 3 * cores + 32 : fewDescriptors
    }

    private static func isRole(_ command: String?) -> Bool { command.map(roles.contains) ?? false }

    /// Checks that the process may have what the command needs.
    ///
    /// - Throws: a failure that names the resource and the limit to raise.
    static func check(_ command: String?) throws(Failure) {
        // This command has limits of its own, and no event loops.
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
