import Foundation
import Mux
import ProxyConnect

/// Secrets on their way from files and the environment into the program. They never come from an argument, which the
/// process list would show; the proxy's password may, as in curl, beside better ways.
enum SecretFile {
    /// Longer than any secret: more is some other file.
    static let maximumLength = 8_192
    /// More entries than anybody keeps.
    static let maximumNetrc = 1_048_576

    /// Reads a file with a secret in it.
    static func read(_ path: String, what: String) throws(Failure) -> String {
        let text = try TextFile.read(path, what: "\(what) file", limit: maximumLength)
        warnIfOthersCanRead(path, what: what)
        return text
    }

    /// Says so where others can read a file that keeps a secret: the file that links lead to. A pipe or a terminal, as
    /// `/dev/stdin` and `<(command)` are, keeps none.
    ///
    /// - Parameter isForGroup: whether the file's group may read it, for one that an administrator's group keeps.
    static func warnIfOthersCanRead(_ path: String, what: String, isForGroup: Bool = false) {
        var status = stat()
        guard !path.hasPrefix("/dev/"), !path.hasPrefix("/proc/"), stat(path, &status) == 0,
            status.st_mode & S_IFMT == S_IFREG, status.st_mode & (isForGroup ? 0o037 : 0o077) != 0
        else { return }
        let mode = isForGroup ? "640" : "600"
        Output.error("culvert: warning: others on this machine can read the \(what) file \(path); chmod \(mode) it")
    }

    /// The token from the file, else from the environment, else from the configuration; nil where there is none.
    static func token(file: String?, configured: String?) throws(Failure) -> Token? {
        let environment = try file == nil ? self.environment("CULVERT_TOKEN") : nil
        let text: String
        let source: String
        if let file {
            text = try read(file, what: "token")
            source = "the token file \(file)"
        } else if let environment, !environment.isEmpty {
            text = environment
            source = "CULVERT_TOKEN"
        } else if let configured {
            text = configured
            source = "the configuration"
        } else {
            return nil
        }
        do throws(Token.Unsuitable) {
            return try Token(text)
        } catch {
            throw Failure(.badData, "\(source): \(error)")
        }
    }

    /// Where the proxies' credentials come from: the user from the flag or the configuration, the password from there,
    /// the file or the environment, and netrc.
    static func proxyCredentials(
        user: String?,
        passwordFile: String?,
        netrc isUsingNetrc: Bool
    ) throws(Failure) -> ProxyCredentialSources {
        var sources = ProxyCredentialSources()
        if let user {
            let colon = user.firstIndex(of: ":")
            sources.user = String(user[..<(colon ?? user.endIndex)])
            sources.password = colon.map { String(user[user.index(after: $0)...]) }
            try check(sources, .configuration, "--proxy-user")
        }
        if let passwordFile {
            sources.password = try withoutLineEnd(read(passwordFile, what: "proxy password"))
            try check(sources, .badData, "the proxy password file \(passwordFile)")
        }
        if sources.password == nil {
            sources.password = try environment("CULVERT_PROXY_PASSWORD")
            try check(sources, .configuration, "CULVERT_PROXY_PASSWORD")
        }
        if isUsingNetrc { sources.netrc = try netrc() }
        return sources
    }

    /// A secret in a variable, which may have come from a file with its byte order mark; nil if it is not set.
    private static func environment(_ name: String) throws(Failure) -> String? {
        // Foundation would replace bytes that are not UTF-8, and so hand over another secret.
        guard let value = getenv(name) else { return nil }
        do throws(PlainText.Unreadable) {
            return try PlainText.decode(Array(UnsafeRawBufferPointer(start: value, count: strlen(value))))
        } catch {
            throw Failure(.badData, "\(name) \(error)")
        }
    }

    /// Refuses what has just been added, by the name of its place (R16).
    private static func check(
        _ sources: ProxyCredentialSources,
        _ status: ExitStatus,
        _ place: String
    ) throws(Failure) {
        do throws(CredentialsError) {
            _ = try ProxyCredentials(user: sources.user ?? "", password: sources.password ?? "")
        } catch {
            throw Failure(status, "\(place): \(error)")
        }
    }

    /// Without the line end that editors put behind a secret; CR and LF are one character.
    private static func withoutLineEnd(_ text: String) -> String {
        text.last == "\n" || text.last == "\r\n" ? String(text.dropLast()) : text
    }

    /// The file that `NETRC` names, else `.netrc` in the user's home; nil where there is none, as curl has it.
    private static func netrc() throws(Failure) -> Netrc? {
        let environment = ProcessInfo.processInfo.environment.filter { !$0.value.isEmpty }
        // Foundation would ask the user database alone.
        let home = environment["HOME"] ?? FileManager.default.homeDirectoryForCurrentUser.path
        let path = environment["NETRC"] ?? "\(home)/.netrc"
        guard !TextFile.isMissing(path) else {
            Output.error("culvert: warning: --netrc: there is no file \(path)")
            return nil
        }
        return try netrc(at: path)
    }

    /// The entries of a netrc file.
    static func netrc(at path: String) throws(Failure) -> Netrc {
        let text = try TextFile.read(path, what: "netrc file", limit: maximumNetrc)
        warnIfOthersCanRead(path, what: "netrc")
        do throws(NetrcError) {
            return try Netrc(text)
        } catch {
            throw Failure(.badData, "\(path): \(error)")
        }
    }
}
