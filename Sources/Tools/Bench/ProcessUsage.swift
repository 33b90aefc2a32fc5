import Foundation

/// The resources that processes and their descendants have used so far.
struct ProcessUsage {
    /// Processor time, including that of children that have ended.
    var seconds = 0.0
    /// Resident memory in bytes.
    var resident = 0
    /// The sum of the peaks of resident memory.
    var peak = 0

    /// Reads the values from the kernel.
    ///
    /// - Parameter roots: the process ids.
    init(of roots: [Int32]) {
        for pid in Self.withDescendants(roots) {
            guard let fields = Self.statistics(of: pid), fields.count > 14 else { continue }
            // User and system time of the process, and of its reaped children.
            let ticks = fields[11...14].compactMap { Double($0) }.reduce(0, +)
            seconds += ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
            let status = (try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)) ?? ""
            resident += Self.bytes("VmRSS:", in: status)
            peak += Self.bytes("VmHWM:", in: status)
        }
    }

    /// Resets the peak, if the kernel allows it.
    static func resetPeak(of roots: [Int32]) {
        for pid in withDescendants(roots) {
            try? "5".write(toFile: "/proc/\(pid)/clear_refs", atomically: false, encoding: .utf8)
        }
    }

    /// The start time of a process in the kernel's ticks. Together with the id it is unique.
    static func start(of pid: Int32) -> Int? {
        statistics(of: pid).flatMap { $0.count > 19 ? Int($0[19]) : nil }
    }

    /// These processes and all their descendants.
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

    /// The fields of a process's `stat` after its name, which is in parentheses and may contain any character.
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
