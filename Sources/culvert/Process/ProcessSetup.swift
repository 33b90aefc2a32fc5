import CMalloc
import CSpawn
import Logging
import Platform

/// Prepares the process at its start to serve many sockets.
enum ProcessSetup {
    static func prepare() {
        openStandardStreams()
        culvert_tune_malloc()
        ignoreBrokenPipes()
        hideMemory()
        restoreChildSignal()
        raiseDescriptorLimit()
    }

    /// Opens standard streams that are closed. Otherwise the next socket would get the number, and the log would go to
    /// a visitor.
    private static func openStandardStreams() {
        for stream in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] where fcntl(stream, F_GETFD) < 0 {
            // The new descriptor gets the lowest free number, which is this one.
            _ = open("/dev/null", O_RDWR)
        }
    }

    /// Prevents cores, and reads of the memory by other processes of the same user, because both have tokens and
    /// visitors' bytes. Root's debugger still works. `CULVERT_DUMPABLE=1` leaves the memory readable. The hard limit of
    /// cores stays, for `prlimit`.
    private static func hideMemory() {
        if getenv("CULVERT_DUMPABLE").map({ String(cString: $0) }) != "1" { culvert_hide_memory() }
        #if canImport(Glibc)
        limit(__rlimit_resource_t(RLIMIT_CORE.rawValue)) { _ in 0 }
        #else
        limit(RLIMIT_CORE) { _ in 0 }
        #endif
    }

    /// Warns about root, because an ordinary user is enough.
    static func warnOfRoot(_ logger: Logger) {
        guard geteuid() == 0 else { return }
        logger.warning(
            "running as root, which is not needed: use an ordinary user, with CAP_NET_BIND_SERVICE for low ports"
        )
    }

    /// Logs the memory that sessions may use, and the reason for it.
    static func logMemory(_ bytes: Int, _ logger: Logger) {
        let budget = SystemMemory().budget
        let reason = budget?.bytes == bytes ? budget?.reason : nil
        logger.info(
            "memory for sessions",
            metadata: [
                "memory": "\(bytes.asBytes)",
                "because": "\(reason ?? "it is configured, or the machine's memory is unknown")",
            ]
        )
    }

    /// Ignores SIGPIPE: a write to a closed socket or log returns an error instead.
    private static func ignoreBrokenPipes() {
        signal(SIGPIPE, SIG_IGN)
    }

    /// Restores SIGCHLD. If the parent ignores it, this process would too, and could not learn how a child has ended.
    private static func restoreChildSignal() {
        signal(SIGCHLD, SIG_DFL)
    }

    /// Raises the soft limit of descriptors, because each visitor costs one at both ends. The usual 1,024 are for
    /// select.
    private static func raiseDescriptorLimit() {
        // If the system refuses, the old limit holds, and ports stop to accept near it.
        #if canImport(Glibc)
        limit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue)) { $0 }
        #else
        limit(RLIMIT_NOFILE) { $0 }
        #endif
    }

    #if canImport(Glibc)
    private typealias Resource = __rlimit_resource_t
    #else
    private typealias Resource = Int32
    #endif

    /// Sets a soft limit, which is computed from the hard one.
    private static func limit(_ resource: Resource, _ soft: (rlim_t) -> rlim_t) {
        var limit = rlimit()
        guard getrlimit(resource, &limit) == 0 else { return }
        limit.rlim_cur = soft(limit.rlim_max)
        _ = setrlimit(resource, &limit)
    }
}
