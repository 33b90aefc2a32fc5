import Crypto
import Platform
import TunnelCore

/// Makes the instance of a client: a hash that stays the same after a restart, so that the client gets its ports back.
///
/// By default it depends on the machine and the user. A given value makes it the same on any machine, for containers that
/// are replaced. A name distinguishes clients that share either.
public enum ClientInstance {
    /// The characters of a given value. A random one of 22 would do, and an operator may choose a word.
    public static let lengths = 1...256

    /// The hash, 32 bytes, from which the server learns nothing about the machine.
    ///
    /// - Parameters:
    ///   - name: as ``ClientConfiguration/name``; may be empty.
    ///   - given: a value that takes the place of machine and user.
    public static func identity(name: String, given: String? = nil) -> [UInt8] {
        identity(name: name, given: given, machine: machine)
    }

    /// A hash that no other process has, for a client without ports that comes and goes.
    public static func random() -> [UInt8] { SecureRandom.bytes(32) }

    /// The instance of a further session of a client. It stays the same after a restart, as the client's own does.
    ///
    /// - Parameter number: 0 for the first session, which has the client's own instance.
    static func session(_ number: Int, of instance: [UInt8]) -> [UInt8] {
        guard number > 0 else { return instance }
        return Array(SHA256.hash(data: Array("culvert session \(number)\u{0}".utf8) + instance))
    }

    package static func identity(
        name: String,
        given: String? = nil,
        machine: @autoclosure () -> String
    ) -> [UInt8] {
        let parts =
            given.map { ["culvert instance 2", $0, name] }
            ?? ["culvert instance 1", machine(), String(getuid()), name]
        return Array(SHA256.hash(data: Array(parts.joined(separator: "\u{0}").utf8)))
    }

    /// The machine's id, or its host name if it has none, as in many containers.
    private static var machine: String {
        let id = content(of: "/etc/machine-id")
        return id.isEmpty ? hostName() : id
    }

    /// The beginning of a small file; empty if it cannot be read.
    private static func content(of path: String) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 256)
        let count = bytes.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
        return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
    }

    /// The name that the machine has for itself, without a lookup.
    private static func hostName() -> String {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return "" }
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
