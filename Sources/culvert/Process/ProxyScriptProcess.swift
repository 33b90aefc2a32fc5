import Foundation
import HTTP1
import Tunnel

/// Runs each proxy script in a process of its own, this executable's `evaluate-pac`: whatever the script does to the
/// engine or to memory, and however long it means to run, ends with that process.
///
/// That is no sandbox: the process is the same user's, and an engine that can be made to crash can perhaps be made to do
/// worse. Whoever is trusted to choose the proxy is trusted with this.
struct ProxyScriptProcess: ProxyScriptEngine {
    static let longestScript = ProxyScript.limit
    static let longestAnswer = 8_192
    static let longestComplaint = 4_096
    static let longestRun = Duration.seconds(10)

    /// This program, also where its file has been replaced since it began.
    static let ownExecutable: String = {
        #if os(Linux)
        "/proc/self/exe"
        #else
        Bundle.main.executablePath ?? CommandLine.arguments[0]
        #endif
    }()

    var executable = Self.ownExecutable
    /// From which the process inherits what the system's libraries read.
    var environment = ProcessInfo.processInfo.environment
    /// How long a script may run, looking names up included.
    var timeout = Self.longestRun

    func answer(of script: [UInt8], url: String, host: String) async throws -> String {
        let child = BoundedChild(
            executable: executable,
            arguments: ["evaluate-pac"],
            environment: childEnvironment,
            input: Array("\(url)\n\(host)\n".utf8) + script,
            timeout: timeout,
            longestOutput: Self.longestAnswer,
            longestErrors: Self.longestComplaint
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
            let complaint = Self.complaint(result.errors) + Self.advice(on: result.errors, script)
            throw Self.failure(code == ExitStatus.badData.rawValue ? complaint : "exit code \(code): \(complaint)")
        case .crashed(let signal) where [SIGXCPU, SIGALRM].contains(signal):
            throw Self.failure("the script did not end")
        case .crashed(let signal):
            throw Self.failure("the script crashed the engine (signal \(signal))")
        case .late:
            throw Self.failure("the script did not end within \(timeout.components.seconds) s, and was stopped")
        case .tooMuchOutput:
            throw Self.failure("the script's answer is longer than \(Self.longestAnswer) bytes")
        }
    }

    /// Variables that the loader, the resolver and the clock read.
    private static let inherited: Set<String> = [
        "PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "RES_OPTIONS",
        "LOCALDOMAIN",
        "HOSTALIASES",
    ]

    /// Nothing else: tokens and passwords stand in variables of any name, and are no business of an engine that a script
    /// may have taken over.
    private var childEnvironment: [String: String] {
        var kept = environment.filter { name, _ in Self.inherited.contains(name) }
        // A crash is an answer like another one; a report about it would take longer than the script.
        kept["SWIFT_BACKTRACE"] = "enable=no"
        return kept
    }

    private static func failure(_ reason: String) -> ProxyScriptFailure {
        ProxyScriptFailure(
            reason: reason,
            remedy: "tell who maintains the script, or name the proxy itself with --proxy"
        )
    }

    /// A sentence about the engine for a script that it cannot read, unless the text is a page and not a script.
    private static func advice(on errors: [UInt8], _ script: [UInt8]) -> String {
        let isPage = script.first { !" \t\r\n".utf8.contains($0) } == UInt8(ascii: "<")
        let text = String(decoding: errors, as: UTF8.self)
        // Methods that strings and arrays did not have before ECMAScript 6.
        let newer = ["includes", "startsWith", "endsWith", "repeat", "find", "findIndex", "fill", "padStart", "padEnd"]
        let isNewer = newer.contains { text.contains(".\($0) is not a function") }
        guard !isPage, text.contains("SyntaxError") || isNewer else { return "" }
        return "; the engine knows ECMAScript 5, without let, arrow functions, template strings and newer methods"
    }

    /// What the engine wrote, on one line and without its own function's names, which say nothing to anybody.
    ///
    /// A script's error comes as `JSERROR: PAC script:3:` and the words on the next line.
    private static func complaint(_ bytes: [UInt8]) -> String {
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
