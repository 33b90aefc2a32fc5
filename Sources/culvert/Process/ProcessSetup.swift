import CMalloc
import CSpawn
import Logging
import Platform

/// What a process that serves many sockets wants of the system, once at its start.
enum ProcessSetup {
    static func prepare() {
        openStandardStreams()
        culvert_tune_malloc()
        ignoreBrokenPipes()
        keepSecretsToOurselves()
        hearOfChildren()
        raiseDescriptorLimit()
    }

    /// A standard stream that was closed by whoever started us would be the next socket that we open, and our log would
    /// go to a visitor.
    private static func openStandardStreams() {
        for stream in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] where fcntl(stream, F_GETFD) < 0 {
            // It gets the lowest number that is free, which is this one.
            _ = open("/dev/null", O_RDWR)
        }
    }

    /// A core would hold tokens and what visitors send, and so does the memory that another process of the same user could
    /// read. Root's debugger still can. `CULVERT_DUMPABLE=1` leaves the memory readable, and the hard limit of cores stays
    /// for `prlimit`.
    private static func keepSecretsToOurselves() {
        if getenv("CULVERT_DUMPABLE").map({ String(cString: $0) }) != "1" { culvert_hide_memory() }
        #if canImport(Glibc)
        limit(__rlimit_resource_t(RLIMIT_CORE.rawValue)) { _ in 0 }
        #else
        limit(RLIMIT_CORE) { _ in 0 }
        #endif
    }

    /// Nothing that we do needs more than an ordinary user may.
    static func warnOfRoot(_ logger: Logger) {
        guard geteuid() == 0 else { return }
        logger.warning(
            "running as root, which is not needed: use an ordinary user, with CAP_NET_BIND_SERVICE for low ports"
        )
    }

    /// Says how much sessions may hold, and why that much.
    static func logMemory(_ bytes: Int, _ logger: Logger) {
        let budget = SystemMemory().budget
        let reason = budget?.bytes == bytes ? budget?.reason : nil
        logger.info(
            "memory for sessions",
            metadata: ["memory": "\(bytes.asBytes)", "because": "\(reason ?? "it was set, or nothing is known")"]
        )
    }

    /// A socket or a log that goes away is an error to be handled, not a signal that kills.
    private static func ignoreBrokenPipes() {
        signal(SIGPIPE, SIG_IGN)
    }

    /// Where whoever started us ignores SIGCHLD, so would we, and never learn how a child of ours has ended.
    private static func hearOfChildren() {
        signal(SIGCHLD, SIG_DFL)
    }

    /// Each visitor costs a descriptor at both ends; the usual soft limit of 1,024 is for programs that use select.
    private static func raiseDescriptorLimit() {
        // Where it is refused, the old limit holds and accepting pauses when it is reached.
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

    /// Sets a soft limit, knowing the hard one.
    private static func limit(_ resource: Resource, _ soft: (rlim_t) -> rlim_t) {
        var limit = rlimit()
        guard getrlimit(resource, &limit) == 0 else { return }
        limit.rlim_cur = soft(limit.rlim_max)
        _ = setrlimit(resource, &limit)
    }
}
