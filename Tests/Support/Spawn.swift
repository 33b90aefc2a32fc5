import CSpawn
import Foundation

/// Starts a program by `posix_spawn`, with pipes for its outputs, a standard input, and no other descriptors.
///
/// Foundation's `Process` is not used, because it read out of bounds while many threads opened and closed descriptors.
struct Spawn {
    let pid: pid_t
    /// The reading end of standard output.
    let output: FileHandle
    /// The reading end of standard error.
    let errors: FileHandle

    init(
        _ executable: String,
        _ arguments: [String],
        environment: [String: String],
        directory: String,
        input: StandardInput = .empty
    ) throws {
        let (outputPipe, errorPipe) = (Pipe(), Pipe())
        #if canImport(Darwin)
        var actions: posix_spawn_file_actions_t?
        var attributes: posix_spawnattr_t?
        #else
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        #endif
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        culvert_spawn_in_directory(&actions, directory)
        switch input {
        case .empty: posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        case .file(let path): posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, path, O_RDONLY, 0)
        case .pipe(let pipe): posix_spawn_file_actions_adddup2(&actions, pipe.readingEnd, STDIN_FILENO)
        }
        for (pipe, number) in [(outputPipe, STDOUT_FILENO), (errorPipe, STDERR_FILENO)] {
            posix_spawn_file_actions_adddup2(&actions, pipe.fileHandleForWriting.fileDescriptor, number)
        }
        // Closes descriptors that another thread has opened and not yet marked as close-on-exec.
        culvert_spawn_close_from(&actions, STDERR_FILENO + 1)
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // A child inherits the signal mask, and threads of tasks block SIGTERM.
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var words: [UnsafeMutablePointer<CChar>?] = ([executable] + arguments).map { strdup($0) }
        var variables: [UnsafeMutablePointer<CChar>?] = environment.map { strdup("\($0)=\($1)") }
        defer { for text in words + variables { free(text) } }
        words.append(nil)
        variables.append(nil)
        var pid: pid_t = 0
        let number = posix_spawn(&pid, executable, &actions, &attributes, words, variables)
        guard number == 0 else { throw SocketError.system(call: "posix_spawn of \(executable)", errno: number) }
        self.pid = pid
        output = outputPipe.fileHandleForReading
        errors = errorPipe.fileHandleForReading
        // An open writing end in this process would keep the child's output from ending.
        try outputPipe.fileHandleForWriting.close()
        try errorPipe.fileHandleForWriting.close()
    }

    /// Waits for the end, and leaves the process as a zombie, so that its id stays valid until ``reap(_:)``.
    static func wait(_ pid: pid_t) {
        var information = siginfo_t()
        while waitid(P_PID, id_t(pid), &information, WEXITED | WNOWAIT) < 0, errno == EINTR {}
    }

    /// Reaps a process that has ended.
    static func reap(_ pid: pid_t) -> ProcessEnd {
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        let signal = status & 0x7F
        return signal == 0 ? .exited(status >> 8 & 0xFF) : .signalled(signal)
    }
}
