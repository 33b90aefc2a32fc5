import Testing

@testable import culvert

@Suite("Memory follows the machine and the cgroup")
struct SystemMemoryTests {
    private func budget(_ files: [String: String]) -> SystemMemory.Budget? {
        SystemMemory(read: { files[$0] }).budget
    }

    private static let machine = "MemTotal:        8388608 kB\nMemFree: 1 kB\n"

    @Test("without a cgroup's limit the budget is a quarter of the machine's memory, in every notation of no limit")
    func machine() {
        let expected = SystemMemory.Budget(bytes: 2 << 30, reason: "a quarter of the machine's 8 GiB")
        #expect(budget(["/proc/meminfo": Self.machine]) == expected)
        #expect(
            budget([
                "/proc/meminfo": Self.machine, "/proc/self/cgroup": "0::/a\n", "/sys/fs/cgroup/a/memory.max": "max\n",
            ]) == expected
        )
        #expect(
            budget([
                "/proc/meminfo": Self.machine, "/proc/self/cgroup": "4:memory:/\n",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            ]) == expected
        )
    }

    @Test("the budget is half of the least limit of the cgroup and those above it, in versions 1 and 2")
    func group() {
        let expected = SystemMemory.Budget(bytes: 80 << 20, reason: "half of the cgroup's limit of 160 MiB")
        let limit = "\(160 << 20)\n"
        let files = [
            [
                "/proc/self/cgroup": "0::/system.slice/culvert.service\n",
                "/sys/fs/cgroup/system.slice/culvert.service/memory.max": "max\n",
                "/sys/fs/cgroup/system.slice/memory.max": limit,
            ],
            ["/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": limit],
            [
                "/proc/self/cgroup": "12:cpu,cpuacct:/x\n5:memory:/docker/abc\n0::/\n",
                "/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes": limit,
                "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            ],
            // In a container the path is that of the host.
            ["/proc/self/cgroup": "5:memory:/docker/abc\n", "/sys/fs/cgroup/memory/memory.limit_in_bytes": limit],
        ]
        for files in files {
            #expect(budget(files.merging(["/proc/meminfo": Self.machine]) { $1 }) == expected)
            #expect(budget(files) == expected)
        }
    }

    @Test("a limit above the machine's memory has no effect, and without valid files there is no budget")
    func unusable() {
        let large = [
            "/proc/meminfo": Self.machine, "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": "\(1 << 40)\n",
        ]
        #expect(budget(large)?.bytes == 2 << 30)
        #expect(budget([:]) == nil)
        for text in ["", "MemTotal:", "MemTotal: many kB", "MemTotal: -4 kB", "MemTotal: 99999999999999999999 kB"] {
            #expect(budget(["/proc/meminfo": text, "/proc/self/cgroup": "\n:::\nx\n"]) == nil)
        }
    }
}
