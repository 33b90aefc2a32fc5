import Mux
import Platform
import ProxyConnect
import Tunnel

/// Reads secrets from files and the environment. Arguments show in the process list, so they carry no secret, except
/// that `--proxy-user` may have a password, as in curl.
enum SecretFile {
    /// The limit in bytes. 8 KiB: a longer file is not a secret.
    static let maximumLength = 8_192
    /// The limit of a netrc file in bytes.
    static let maximumNetrc = 1_048_576

    /// Reads a file with a secret.
    static func read(_ path: String, what: String) throws(Failure) -> String {
        let text = try TextFile.read(path, what: "\(what) file", limit: maximumLength)
        warnIfOthersCanRead(path, what: what)
        return text
    }

    /// Warns if other users can read a file with a secret. Links are followed. Pipes and terminals, such as
    /// `/dev/stdin` and `<(command)`, are not checked.
    ///
    /// - Parameter isForGroup: whether the file's group may read it, for instance a group of administrators.
    static func warnIfOthersCanRead(_ path: String, what: String, isForGroup: Bool = false) {
        guard isReadableByOthers(path, isForGroup: isForGroup) else { return }
        let mode = isForGroup ? "640" : "600"
        Output.error("culvert: warning: others on this machine can read the \(what) file \(path); chmod \(mode) it")
    }

    /// Whether other users have rights to a file, which may hold a secret. Links are followed. Pipes and terminals are
    /// not checked.
    ///
    /// - Parameter isForGroup: whether the file's group may read it.
    static func isReadableByOthers(_ path: String, isForGroup: Bool = false) -> Bool {
        var status = stat()
        guard !path.hasPrefix("/dev/"), !path.hasPrefix("/proc/"), stat(path, &status) == 0 else { return false }
        return status.st_mode & S_IFMT == S_IFREG && status.st_mode & (isForGroup ? 0o037 : 0o077) != 0
    }

    /// Reads the token from the first of its sources: the flag's file, the environment, the configuration.
    ///
    /// - Parameters:
    ///   - file: the file that `--token-file` names.
    ///   - configured: the configuration's file, and the token in the configuration itself.
    ///   - isTrial: whether to read the configuration's file in any case, to find its mistakes.
    /// - Returns: nil if no source has a token.
    static func token(
        file: String?,
        configured: (file: String?, text: String?) = (nil, nil),
        isTrial: Bool = false
    ) throws(Failure) -> Token? {
        let environment =
            try file == nil && !(isTrial && configured.file != nil) ? self.environment("CULVERT_TOKEN") : nil
        let text: String
        let source: String
        if let environment, !environment.isEmpty {
            text = environment
            source = "CULVERT_TOKEN"
        } else if let file = file ?? configured.file {
            text = try read(file, what: "token")
            source = "the token file \(file)"
        } else if let configured = configured.text {
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

    /// The key of a group.
    static func groupKey(_ path: String) throws(Failure) -> GroupKey {
        guard let key = GroupKey(try read(path, what: "group key")) else {
            throw Failure(.badData, "\(path): a group's key has at least \(GroupKey.shortest) characters")
        }
        return key
    }

    /// The sources of the proxies' credentials. The user comes from the flag or the configuration. The password comes
    /// from there, from its file, or from the environment. netrc is one more source.
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

    /// A secret in an environment variable, without a byte order mark; nil if the variable is not set.
    private static func environment(_ name: String) throws(Failure) -> String? {
        // The environment as a dictionary has other bytes in place of those that are not UTF-8, and so another secret.
        guard let value = getenv(name) else { return nil }
        do throws(PlainText.Unreadable) {
            return try PlainText.decode(Array(UnsafeRawBufferPointer(start: value, count: strlen(value))))
        } catch {
            throw Failure(.badData, "\(name) \(error)")
        }
    }

    /// Refuses credentials that no scheme can send; the error names their source.
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

    /// The text without the line end that editors append. Swift counts CR LF as one character.
    static func withoutLineEnd(_ text: String) -> String {
        text.last == "\n" || text.last == "\r\n" ? String(text.dropLast()) : text
    }

    /// The entries of the file that `NETRC` names, otherwise of `.netrc` in the user's home; nil without a file, as in
    /// curl.
    private static func netrc() throws(Failure) -> Netrc? {
        let environment = ProcessEnvironment.all.filter { !$0.value.isEmpty }
        let home = environment["HOME"] ?? ProcessEnvironment.home
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
