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
        else { throw Disappointment(description: "/proc/\(pid)/status has no \(field)") }
        return number
    }
}
