import Metrics
import Platform
import Synchronization

/// What the process uses, by Prometheus' names. Linux has it in /proc; on other systems there are no values.
package enum ProcessUsage {
    private static let memory = Meter(label: "process_resident_memory_bytes")
    private static let openDescriptors = Meter(label: "process_open_fds")
    private static let maximumDescriptors = Meter(label: "process_max_fds")
    private static let start = Meter(label: "process_start_time_seconds")
    private static let processorTime = FloatingPointCounter(label: "process_cpu_seconds_total")
    /// The processor time that the counter has.
    private static let counted = Mutex(0.0)

    package static func measure() {
        if let seconds = startSeconds { start.set(seconds) }
        counted.withLock { counted in
            let now = processorSeconds
            processorTime.increment(by: max(0, now - counted))
            counted = max(now, counted)
        }
        if let bytes = residentBytes { memory.set(bytes) }
        if let count = descriptorCount { openDescriptors.set(count) }
        if let limit = descriptorLimit { maximumDescriptors.set(limit) }
    }

    /// Processor time of all threads so far, in seconds.
    package static var processorSeconds: Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// The start of the process, in seconds since 1970. The system counts it in ticks since the machine's start.
    package static var startSeconds: Double? {
        #if os(Linux)
        let file = open("/proc/self/stat", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        let bytes = [UInt8](unsafeUninitializedCapacity: 1_024) { buffer, count in
            count = max(0, read(file, buffer.baseAddress, 1_024))
        }
        // The name of the program, in parentheses, may have spaces.
        guard let end = bytes.lastIndex(of: UInt8(ascii: ")")) else { return nil }
        let fields = bytes[(end + 1)...].split(separator: UInt8(ascii: " "))
        guard fields.count > 19, let ticks = Double(String(decoding: fields[19], as: UTF8.self)) else { return nil }
        var (sinceBoot, now) = (timespec(), timespec())
        clock_gettime(CLOCK_BOOTTIME, &sinceBoot)
        clock_gettime(CLOCK_REALTIME, &now)
        let age =
            Double(sinceBoot.tv_sec) + Double(sinceBoot.tv_nsec) / 1e9 - ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
        return (Double(now.tv_sec) + Double(now.tv_nsec) / 1e9 - age).rounded()
        #else
        return nil
        #endif
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
