import Glibc

/// How many descriptors a process may have: each visitor costs a relay two of them.
enum DescriptorLimit {
    private static let kind = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    /// What a process needs beside its connections.
    private static let reserve = 250

    /// Takes as many as the system allows, for this process and those that it starts.
    static func raise() {
        var limit = rlimit()
        guard getrlimit(kind, &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        _ = setrlimit(kind, &limit)
    }

    /// How many visitors a relay can serve at once within it.
    static var visitors: Int {
        var limit = rlimit()
        guard getrlimit(kind, &limit) == 0 else { return reserve }
        return Int(min(limit.rlim_cur, 1 << 30)) / 2 - reserve
    }
}
