import Metrics
import Platform

/// What the process uses, by Prometheus' names. Linux has it in /proc; on other systems there are no values.
package enum ProcessUsage {
    private static let memory = Meter(label: "process_resident_memory_bytes")
    private static let openDescriptors = Meter(label: "process_open_fds")
    private static let maximumDescriptors = Meter(label: "process_max_fds")

    package static func measure() {
        if let bytes = residentBytes { memory.set(bytes) }
        if let count = descriptorCount { openDescriptors.set(count) }
        if let limit = descriptorLimit { maximumDescriptors.set(limit) }
    }

    /// Memory that is in use; the second number of statm counts its pages.
    package static var residentBytes: Int? {
        let file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        let bytes = [UInt8](unsafeUninitializedCapacity: 128) { buffer, count in
            count = max(0, read(file, buffer.baseAddress, 128))
        }
        let numbers = bytes.split(separator: UInt8(ascii: " "))
        guard numbers.count > 1, let pages = Int(String(decoding: numbers[1], as: UTF8.self)) else { return nil }
        return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
    }

    /// Descriptors that are open, without the one that counts them.
    package static var descriptorCount: Int? {
        guard let folder = opendir("/proc/self/fd") else { return nil }
        defer { closedir(folder) }
        var count = 0
        while readdir(folder) != nil { count += 1 }
        // Itself, `.` and `..`.
        return max(0, count - 3)
    }

    /// How many may be open.
    package static var descriptorLimit: Int? {
        let limit = sysconf(Int32(_SC_OPEN_MAX))
        return limit > 0 ? Int(limit) : nil
    }
}
