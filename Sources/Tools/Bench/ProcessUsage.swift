import Foundation

/// What some processes, with all that they have started, have used so far.
struct ProcessUsage {
    /// Of the processors, also by children that have ended.
    var seconds = 0.0
    /// What they have in memory, in bytes.
    var resident = 0
    /// The sum of the most that each of them ever had.
    var peak = 0

    /// Asks the kernel.
    ///
    /// - Parameter roots: the process ids.
    init(of roots: [Int32]) {
        for pid in Self.withDescendants(roots) {
            guard let fields = Self.statistics(of: pid), fields.count > 14 else { continue }
            // User and system time, and the same of children that were waited for.
            let ticks = fields[11...14].compactMap { Double($0) }.reduce(0, +)
            seconds += ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
            let status = (try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)) ?? ""
            resident += Self.bytes("VmRSS:", in: status)
            peak += Self.bytes("VmHWM:", in: status)
        }
    }

    /// Lets the peak begin anew, where the kernel allows it.
    static func forgetPeak(of roots: [Int32]) {
        for pid in withDescendants(roots) {
            try? "5".write(toFile: "/proc/\(pid)/clear_refs", atomically: false, encoding: .utf8)
        }
    }

    /// When a process was started, in the kernel's ticks: with its id a name that no other ever has.
    static func start(of pid: Int32) -> Int? {
        statistics(of: pid).flatMap { $0.count > 19 ? Int($0[19]) : nil }
    }

    /// These processes, and those that they or their children have started.
    static func withDescendants(_ roots: [Int32]) -> Set<Int32> {
        var children: [Int32: [Int32]] = [:]
        for entry in (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? [] {
            guard let pid = Int32(entry), let parent = statistics(of: pid)?.dropFirst().first.flatMap({ Int32($0) })
            else { continue }
            children[parent, default: []].append(pid)
        }
        var (found, next) = (Set<Int32>(), roots)
        while let pid = next.popLast() {
            if found.insert(pid).inserted { next += children[pid] ?? [] }
        }
        return found
    }

    /// The fields of a process's `stat` behind its name, which is in parentheses and may hold anything.
    private static func statistics(of pid: Int32) -> [Substring]? {
        guard let line = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
            let end = line.lastIndex(of: ")")
        else { return nil }
        return line[line.index(after: end)...].split(separator: " ")
    }

    private static func bytes(_ field: String, in status: String) -> Int {
        let line = status.split(separator: "\n").first { $0.hasPrefix(field) }
        return (line?.split(whereSeparator: { " \t".contains($0) }).dropFirst().first.flatMap { Int($0) } ?? 0) << 10
    }
}
