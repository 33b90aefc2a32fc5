import Glibc

/// The limit of descriptors. A relay needs two for each visitor.
enum DescriptorLimit {
    private static let kind = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    /// Descriptors that a process needs besides its connections.
    private static let reserve = 250

    /// Raises the limit as far as the system allows, for this process and its children.
    static func raise() {
        var limit = rlimit()
        guard getrlimit(kind, &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        _ = setrlimit(kind, &limit)
    }

    /// The number of visitors that a relay can serve at once.
    static var visitors: Int {
        var limit = rlimit()
        guard getrlimit(kind, &limit) == 0 else { return reserve }
        return Int(min(limit.rlim_cur, 1 << 30)) / 2 - reserve
    }
}
