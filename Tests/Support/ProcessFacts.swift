import Foundation

/// Reads facts about a running process from the kernel.
extension ChildProcess {
    /// The number of open descriptors.
    public var descriptorCount: Int {
        get throws { try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd").count }
    }

    /// The resident memory in bytes.
    public var residentBytes: Int {
        get throws { try kibibytes("VmRSS:") << 10 }
    }

    /// The peak of resident memory in bytes.
    public var peakResidentBytes: Int {
        get throws { try kibibytes("VmHWM:") << 10 }
    }

    /// The number of bytes written so far, to sockets and files.
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

    /// The number of threads.
    public var threadCount: Int {
        get throws { try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task").count }
    }

    /// The processor time so far.
    public var processorSeconds: Double {
        get throws {
            let line = try String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
            // The name is in parentheses, and may contain any character.
            let fields = line[(line.lastIndex(of: ")") ?? line.startIndex)...].split(separator: " ")
            guard fields.count > 12, let user = Double(fields[12]), let system = Double(fields[13]) else {
                throw ScenarioFailure(description: "/proc/\(pid)/stat: \(line)")
            }
            return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
        }
    }

    /// The arguments, which all users of the machine can read.
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
