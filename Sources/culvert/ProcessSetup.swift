#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// What a process that serves many sockets wants of the system, once at its start.
enum ProcessSetup {
    static func prepare() {
        ignoreBrokenPipes()
        hearOfChildren()
        raiseDescriptorLimit()
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
        var limit = rlimit()
        #if canImport(Glibc)
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        #else
        let resource = RLIMIT_NOFILE
        #endif
        guard getrlimit(resource, &limit) == 0, limit.rlim_cur < limit.rlim_max else { return }
        limit.rlim_cur = limit.rlim_max
        // Where it is refused, the old limit holds and accepting pauses when it is reached.
        _ = setrlimit(resource, &limit)
    }
}
