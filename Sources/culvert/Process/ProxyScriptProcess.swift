import HTTP1
import Platform
import Tunnel

/// Runs each proxy script in a separate process, this executable's `evaluate-pac`. A crash, a full memory or an endless
/// loop of the script affects only that process.
///
/// This is not a sandbox. The process has the same user, and a script that can crash the engine can perhaps do worse.
/// So the source of the script must be trusted, as the choice of the proxy must be.
struct ProxyScriptProcess: ProxyScriptEngine {
    static let maximumScript = ProxyScript.limit
    static let maximumAnswer = 8_192
    static let maximumErrorText = 4_096
    static let maximumTime = Duration.seconds(10)

    /// This program, even if its file was replaced after the start.
    static let ownExecutable: String = {
        #if os(Linux)
        "/proc/self/exe"
        #else
        CommandLine.arguments[0]
        #endif
    }()

    var executable = Self.ownExecutable
    /// The environment from which the process inherits what the system's libraries read.
    var environment = ProcessEnvironment.all
    /// The time of a script, with its name lookups.
    var timeout = Self.maximumTime

    func answer(of script: [UInt8], url: String, host: String) async throws -> String {
        let child = BoundedChild(
            executable: executable,
            arguments: ["evaluate-pac"],
            environment: childEnvironment,
            input: Array("\(url)\n\(host)\n".utf8) + script,
            timeout: timeout,
            longestOutput: Self.maximumAnswer,
            longestErrors: Self.maximumErrorText
        )
        let result = try await child.result()
        switch result.end {
        case .exited(0):
            return String(decoding: result.output, as: UTF8.self)
        case .exited(ExitStatus.configuration.rawValue):
            throw ProxyScriptFailure(
                reason: "this machine has no engine for proxy scripts",
                remedy:
                    "install pacparser (Debian, Ubuntu: libpacparser1; Fedora: pacparser), or name the proxy itself "
                    + "with --proxy",
                isConfigurationError: true
            )
        case .exited(let code):
            let text = Self.errorText(result.errors) + Self.advice(on: result.errors, script)
            throw Self.failure(code == ExitStatus.badData.rawValue ? text : "exit code \(code): \(text)")
        case .crashed(let signal) where [SIGXCPU, SIGALRM].contains(signal):
            throw Self.failure("the script did not end")
        case .crashed(let signal):
            throw Self.failure("the script crashed the engine (signal \(signal))")
        case .late:
            throw Self.failure("the script did not end within \(timeout.components.seconds) s, and was stopped")
        case .tooMuchOutput:
            throw Self.failure("the script's answer is longer than \(Self.maximumAnswer) bytes")
        }
    }

    /// The variables that the loader, the resolver and the clock read.
    private static let inherited: Set<String> = [
        "PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "RES_OPTIONS",
        "LOCALDOMAIN",
        "HOSTALIASES",
    ]

    /// The environment of the process. Any other variable may have a token or a password, which a script must not get.
    private var childEnvironment: [String: String] {
        var kept = environment.filter { name, _ in Self.inherited.contains(name) }
        // A crash is an ordinary result here, and a report about it would take longer than the script.
        kept["SWIFT_BACKTRACE"] = "enable=no"
        return kept
    }

    private static func failure(_ reason: String) -> ProxyScriptFailure {
        ProxyScriptFailure(
            reason: reason,
            remedy: "ask the maintainers of the script to correct it, or name the proxy itself with --proxy"
        )
    }

    /// Advice about the engine's language for a script that it cannot read, unless the text is a web page.
    private static func advice(on errors: [UInt8], _ script: [UInt8]) -> String {
        let isPage = script.first { !" \t\r\n".utf8.contains($0) } == UInt8(ascii: "<")
        let text = String(decoding: errors, as: UTF8.self)
        // Methods of strings and arrays that are new in ECMAScript 6 and later.
        let newer = ["includes", "startsWith", "endsWith", "repeat", "find", "findIndex", "fill", "padStart", "padEnd"]
        let isNewer = newer.contains { text.contains(".\($0) is not a function") }
        guard !isPage, text.contains("SyntaxError") || isNewer else { return "" }
        return "; the engine supports ECMAScript 5, without let, arrow functions, template strings and newer methods"
    }

    /// The engine's error on one line, without the names of the engine's functions.
    ///
    /// A script's error is `JSERROR: PAC script:3:` with the description on the next line.
    private static func errorText(_ bytes: [UInt8]) -> String {
        let lines = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline).map { line in
            line.drop(while: \.isWhitespace)
        }
        let own = lines.filter { $0.hasPrefix("pacparser") }
        let scripts = lines.filter { !$0.hasPrefix("pacparser") && !$0.hasPrefix("culvert: ") }
        if !scripts.isEmpty {
            return scripts.map { line in
                let text = line.hasPrefix("JSERROR: ") ? line.dropFirst("JSERROR: ".count) : line
                return String(text.hasPrefix("NULL:0:") ? text.dropFirst("NULL:0:".count) : text)
            }
            .filter { !$0.isEmpty }
            .joined(separator: " ").escapedForDisplay()
        }
        let last = own.last?.split(separator: ": ").last ?? "the script has failed"
        return String(last).escapedForDisplay()
    }
}
