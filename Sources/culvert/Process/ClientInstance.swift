import Crypto
import Foundation

/// Which client process this is: the same after a restart. By default another one for another machine or user; one that
/// was given stays the same on any machine, for containers that are replaced. `--name` sets apart what shares either.
enum ClientInstance {
    /// Characters of a given value: 22 would be random enough, and a person may choose a word.
    static let lengths = 1...256
    /// Longer than any value with its line end.
    static let longestFile = 1_024

    /// A hash, so that the server learns nothing about the machine.
    ///
    /// - Parameter given: the value of `--instance`, or what its file holds.
    static func identity(
        name: String,
        given: String? = nil,
        machine: @autoclosure () -> String = machine
    ) -> [UInt8] {
        let parts =
            given.map { ["culvert instance 2", $0, name] }
            ?? ["culvert instance 1", machine(), String(getuid()), name]
        return Array(SHA256.hash(data: Array(parts.joined(separator: "\u{0}").utf8)))
    }

    /// The value that `--instance` means: itself, or what the file has that it names by a path with a `/`.
    ///
    /// - Parameter isTrial: whether a file that is not there is only looked for a place for, and not made.
    static func value(_ text: String, isTrial: Bool) throws(Failure) -> String {
        let status: ExitStatus = text.contains("/") ? .badData : .configuration
        let value = text.contains("/") ? try content(text, isTrial: isTrial) : text
        guard value.unicodeScalars.allSatisfy({ $0.value >= 32 && $0.value != 127 }), lengths.contains(value.count)
        else {
            let place = text.contains("/") ? "the instance file \(text)" : "--instance"
            throw Failure(status, "\(place) must hold 1 to \(lengths.upperBound) printable characters in one line")
        }
        return value
    }

    private static func content(_ path: String, isTrial: Bool) throws(Failure) -> String {
        if TextFile.isMissing(path) {
            if isTrial {
                try checkFolder(of: path)
                return "yet to be made"
            }
            try make(path)
        }
        let text = try TextFile.read(path, what: "instance file", limit: longestFile)
        return text.last?.isNewline == true ? String(text.dropLast()) : text
    }

    /// Makes the file with a random value. Of two processes at once one makes it, and both read the same.
    private static func make(_ path: String) throws(Failure) {
        var generator = SystemRandomNumberGenerator()
        let value = (0..<2).map { _ in String(UInt64.random(in: .min ... .max, using: &generator), radix: 36) }.joined()
        // Whole before it has its name, so that a crash leaves no half of it.
        let draft = "\(path).\(getpid())"
        let descriptor = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure(path) }
        defer { unlink(draft) }
        let line = Array((value + "\n").utf8)
        let isWritten =
            line.withUnsafeBytes { Output.write($0, to: descriptor) } == line.count && fsync(descriptor) == 0
        let problem = failure(path)
        close(descriptor)
        guard isWritten else { throw problem }
        guard link(draft, path) == 0 || errno == EEXIST else { throw failure(path) }
    }

    private static func checkFolder(of path: String) throws(Failure) {
        let folder = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        guard access(folder, W_OK | X_OK) == 0 else { throw failure(path) }
    }

    private static func failure(_ path: String) -> Failure {
        let reason = String(cString: strerror(errno))
        return Failure(.configuration, "the instance file \(path) cannot be made: \(reason); give a folder that stays")
    }

    /// The machine's id; containers often have an empty one.
    static var machine: String {
        let id = (try? String(contentsOfFile: "/etc/machine-id", encoding: .utf8)) ?? ""
        return id.isEmpty ? hostName() : id
    }

    /// The machine's own word for itself; no resolver is asked.
    private static func hostName() -> String {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return "" }
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
