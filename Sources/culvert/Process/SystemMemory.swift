/// Derives the memory budget of sessions from the machine's memory and the limits of the process's cgroups.
///
/// | | default of `memory` in `[limits]` |
/// |---|---|
/// | a cgroup with a limit | half of it |
/// | the machine | a quarter of its memory |
///
/// The lesser one counts. The rest is for the program itself, for other programs, and for the kernel's socket buffers,
/// which cgroups of version 2 count.
struct SystemMemory: Sendable {
    /// A budget and its reason.
    struct Budget: Sendable, Hashable {
        let bytes: Int
        /// For the log.
        let reason: String
    }

    /// A cgroup's limit above this means no limit: version 1 writes the largest number of pages.
    private static let none = 1 << 60
    /// The limit of a kernel's file in bytes. 1 MiB: longer than any of them.
    private static let longestFile = 1 << 20

    /// Reads a file of the kernel; nil if it is missing.
    var read: @Sendable (String) -> String? = { path in
        try? TextFile.read(path, what: "file", limit: longestFile)
    }

    /// The default budget; nil if neither the machine's memory nor a limit is known.
    var budget: Budget? {
        let machine = physical.map { Budget(bytes: $0 / 4, reason: "a quarter of the machine's \($0.asBytes)") }
        let group = cgroup.map { Budget(bytes: $0 / 2, reason: "half of the cgroup's limit of \($0.asBytes)") }
        return [group, machine].compactMap { $0 }.min { $0.bytes < $1.bytes }
    }

    /// The machine's memory in bytes.
    private var physical: Int? {
        let line = read("/proc/meminfo")?.split(separator: "\n").first { $0.hasPrefix("MemTotal:") }
        let number = line?.split(separator: " ").dropFirst().first.flatMap { Int($0) }
        return number.flatMap { $0 > 0 && $0 < Self.none >> 10 ? $0 << 10 : nil }
    }

    /// The least limit of the process's cgroup and those above it, in bytes.
    private var cgroup: Int? {
        guard let groups = read("/proc/self/cgroup") else { return nil }
        var limits: [Int] = []
        for line in groups.split(separator: "\n") {
            // `0::/path` for version 2, `5:memory:/path` for version 1.
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { continue }
            if fields[1].isEmpty {
                limits += self.limits(below: "/sys/fs/cgroup", String(fields[2]), "memory.max")
            } else if fields[1].split(separator: ",").contains("memory") {
                limits += self.limits(below: "/sys/fs/cgroup/memory", String(fields[2]), "memory.limit_in_bytes")
            }
        }
        return limits.min()
    }

    /// The limits of a group and of all above it. In a container the path may be that of the host, and the limit at the
    /// top.
    private func limits(below root: String, _ path: String, _ file: String) -> [Int] {
        var parts = path.split(separator: "/")
        var limits: [Int] = []
        while true {
            let folder = ([root] + parts.map(String.init)).joined(separator: "/")
            if let text = read("\(folder)/\(file)"), let limit = Int(text.filter { !$0.isWhitespace }),
                limit > 0, limit < Self.none
            {
                limits.append(limit)
            }
            guard parts.popLast() != nil else { return limits }
        }
    }
}
