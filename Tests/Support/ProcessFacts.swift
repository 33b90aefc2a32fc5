import Foundation

/// What the kernel says about a running process.
extension ChildProcess {
    /// How many descriptors it has open.
    public var descriptorCount: Int {
        get throws { try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd").count }
    }

    /// Its resident memory, in bytes.
    public var residentBytes: Int {
        get throws { try kibibytes("VmRSS:") << 10 }
    }

    /// The most resident memory that it ever had, in bytes.
    public var peakResidentBytes: Int {
        get throws { try kibibytes("VmHWM:") << 10 }
    }

    /// How many bytes it has written so far, to sockets and files together.
    public var writtenBytes: Int {
        get throws {
            let facts = try String(contentsOfFile: "/proc/\(pid)/io", encoding: .utf8)
            let line = facts.split(separator: "\n").first { $0.hasPrefix("wchar:") }
            guard let number = line?.split(separator: " ").last.flatMap({ Int($0) }) else {
                throw ScenarioFailure(description: "/proc/\(pid)/io has no wchar")
            }
            return number
        }
    }

    /// How many threads it has.
    public var threadCount: Int {
        get throws { try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task").count }
    }

    /// What it has used of the processors so far.
    public var processorSeconds: Double {
        get throws {
            let line = try String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
            // Its name is in parentheses, and may hold anything.
            let fields = line[(line.lastIndex(of: ")") ?? line.startIndex)...].split(separator: " ")
            guard fields.count > 12, let user = Double(fields[12]), let system = Double(fields[13]) else {
                throw ScenarioFailure(description: "/proc/\(pid)/stat: \(line)")
            }
            return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
        }
    }

    /// Its arguments as every user of the machine sees them.
    public var visibleArguments: String {
        get throws {
            let bytes = try Data(contentsOf: URL(fileURLWithPath: "/proc/\(pid)/cmdline"))
            return String(decoding: bytes, as: UTF8.self)
        }
    }

    private func kibibytes(_ field: String) throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
        let line = status.split(separator: "\n").first { $0.hasPrefix(field) }
        guard let number = line?.split(whereSeparator: { " \t".contains($0) }).dropFirst().first.flatMap({ Int($0) })
        else { throw ScenarioFailure(description: "/proc/\(pid)/status has no \(field)") }
        return number
    }
}
