import NIOCore
import Platform
import Tunnel
import TunnelCore

/// The text of `culvert doctor --report`: what a maintainer asks for, without secrets.
struct SupportReport {
    /// Lines of the log that are taken.
    static let logLines = 100
    /// Bytes of the log's end that are looked at.
    private static let logBytes = 262_144

    let checks: [DiagnosisCheck]
    /// Texts that must not show: passwords, values of header fields. A token is never in a status or a log.
    let secrets: [String]
    /// The log's file; nil to ask the journal of the service manager.
    let logFile: String?

    /// The whole report. It asks running roles for their status and metrics.
    func text() async -> String {
        var sections = [("versions", versions()), ("checks", DoctorLayout(isColoured: false).text(checks))]
        for socket in AdminSocketSearch(.ofThisProcess).sockets where !socket.isForbidden {
            let client = AdminClient(path: socket.path)
            for part in ["/status", "/metrics"] {
                let text = (try? await client.ask("GET", part)).map { String(decoding: $0, as: UTF8.self) }
                sections.append(("\(socket.role) \(part)", text ?? "no answer"))
            }
        }
        sections.append(("log", log()))
        let text = sections.map { title, text in
            "== \(title)\n\(text.hasSuffix("\n") ? text : text + "\n")"
        }.joined(separator: "\n")
        return Redaction(secrets).apply(to: text)
    }

    private func versions() -> String {
        var lines = ["culvert \(culvertVersion)"]
        var system = utsname()
        if uname(&system) == 0 {
            lines.append("\(Self.string(system.sysname)) \(Self.string(system.release)) \(Self.string(system.machine))")
        }
        if let release = try? TextFile.read("/etc/os-release", what: "file", limit: 16_384) {
            lines += release.split(separator: "\n").filter { $0.hasPrefix("PRETTY_NAME=") }.map(String.init)
        }
        return lines.joined(separator: "\n")
    }

    private static func string(_ field: some Any) -> String {
        withUnsafeBytes(of: field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }

    /// The last lines of the log.
    private func log() -> String {
        guard let logFile else {
            return "not at hand; add it with: journalctl -u culvert-client -u culvert-server -n \(Self.logLines)"
        }
        let descriptor = open(logFile, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return "\(logFile) cannot be read: \(String(cString: strerror(errno)))" }
        defer { close(descriptor) }
        let length = lseek(descriptor, 0, SEEK_END)
        lseek(descriptor, max(0, length - off_t(Self.logBytes)), SEEK_SET)
        let bytes = [UInt8](unsafeUninitializedCapacity: Self.logBytes) { buffer, count in
            count = max(0, read(descriptor, buffer.baseAddress, buffer.count))
        }
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        return lines.suffix(Self.logLines).joined(separator: "\n")
    }
}

/// Removes secrets from a text: those that are known, and those that their form shows.
struct Redaction {
    /// Shorter texts are no secrets, and would remove words.
    private static let shortest = 6
    private let secrets: [String]

    init(_ secrets: [String]) {
        self.secrets = secrets.filter { $0.utf8.count >= Self.shortest }.sorted { $0.utf8.count > $1.utf8.count }
    }

    /// The text with `***` in the place of secrets.
    func apply(to text: String) -> String {
        let known = secrets.reduce(text) { $0.replacing($1, with: "***") }
        return Self.withoutAuthorization(Self.withoutPasswords(Self.withoutVerifiers(known)))
    }

    /// Removes what follows the name of a scheme of authentication, and the query of each URL.
    private static func withoutAuthorization(_ text: String) -> String {
        text.replacing(/\b(Basic|Bearer|Negotiate|NTLM|Digest) +[A-Za-z0-9+\/=._~-]{8,}/) { "\($0.output.1) ***" }
            .replacing(/(:\/\/[^\s"'?]+\?)[^\s"']+/) { "\($0.output.1)***" }
    }

    /// Keeps a verifier's public id, and removes its keys.
    private static func withoutVerifiers(_ text: String) -> String {
        var parts = text.split(separator: "culvert1:", omittingEmptySubsequences: false)[...]
        guard var result = parts.popFirst().map(String.init) else { return text }
        for part in parts {
            let rest = part.drop { $0.isHexDigit || $0 == ":" }
            result += "culvert1:***" + rest
        }
        return result
    }

    /// Removes the password of each URL.
    private static func withoutPasswords(_ text: String) -> String {
        var result = ""
        var rest = text[...]
        while let scheme = rest.firstRange(of: "://") {
            result += rest[..<scheme.upperBound]
            rest = rest[scheme.upperBound...]
            let authority = rest.prefix { !" /\"'\n\t,?#".contains($0) }
            if let at = authority.lastIndex(of: "@"), let colon = authority[..<at].firstIndex(of: ":") {
                result += authority[...colon] + "***"
                rest = rest[at...]
            }
        }
        return result + rest
    }
}
