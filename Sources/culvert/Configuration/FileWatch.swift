import Platform

/// Notices that files have changed, for instance a renewed certificate. It compares the files' status every ten
/// seconds, which works on every file system.
///
/// Links are followed, because a renewal may move a link in the middle of the path, as Kubernetes does with `..data`.
struct FileWatch {
    private struct State: Equatable {
        let device: UInt64
        let file: UInt64
        let size: Int64
        let modified: Int64
        let modifiedNanoseconds: Int64

        /// Nil for a file that is missing.
        init?(_ path: String) {
            var status = stat()
            guard stat(path, &status) == 0 else { return nil }
            device = UInt64(truncatingIfNeeded: status.st_dev)
            file = UInt64(truncatingIfNeeded: status.st_ino)
            size = Int64(status.st_size)
            #if canImport(Darwin)
            modified = Int64(status.st_mtimespec.tv_sec)
            modifiedNanoseconds = Int64(status.st_mtimespec.tv_nsec)
            #else
            modified = Int64(status.st_mtim.tv_sec)
            modifiedNanoseconds = Int64(status.st_mtim.tv_nsec)
            #endif
        }
    }

    /// The time between two checks. 10 s: a renewed certificate may wait so long.
    static let standardPeriod = Duration.seconds(10)

    private let paths: @Sendable () -> [String]
    private let period: Duration

    /// - Parameters:
    ///   - paths: the files; evaluated at each check, because a reload may name others.
    ///   - period: the time between two checks.
    init(period: Duration = Self.standardPeriod, _ paths: @escaping @Sendable () -> [String]) {
        self.paths = paths
        self.period = period
    }

    /// Calls `onChange` after each change, until its task is cancelled. A file that is missing while it is replaced has
    /// not changed yet, and neither has a file that `paths` names for the first time.
    func run(onChange: () -> Void) async {
        var names = paths()
        var known = names.map(State.init)
        while (try? await Task.sleep(for: period)) != nil {
            let current = paths()
            let now = current.map(State.init)
            guard current == names else {
                (names, known) = (current, now)
                continue
            }
            guard now != known, !now.contains(nil) else { continue }
            known = now
            onChange()
        }
    }
}
