import Crypto
import Foundation

/// Which client process this is: the same after a restart, another one for another machine, user or `--name`.
enum ClientInstance {
    /// A hash, so that the server learns nothing about the machine.
    static func identity(name: String) -> [UInt8] {
        let machine =
            (try? String(contentsOfFile: "/etc/machine-id", encoding: .utf8)) ?? ProcessInfo.processInfo.hostName
        let parts = ["culvert instance 1", machine, String(getuid()), name]
        return Array(SHA256.hash(data: Array(parts.joined(separator: "\u{0}").utf8)))
    }
}
