import Crypto
import Foundation

/// Which client process this is: the same after a restart, another one for another machine, user or `--name`.
enum ClientInstance {
    /// A hash, so that the server learns nothing about the machine.
    static func identity(name: String) -> [UInt8] {
        // Containers often have an empty machine id.
        let id = (try? String(contentsOfFile: "/etc/machine-id", encoding: .utf8)) ?? ""
        let machine = id.isEmpty ? hostName() : id
        let parts = ["culvert instance 1", machine, String(getuid()), name]
        return Array(SHA256.hash(data: Array(parts.joined(separator: "\u{0}").utf8)))
    }

    /// The machine's own word for itself; no resolver is asked.
    private static func hostName() -> String {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return "" }
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
