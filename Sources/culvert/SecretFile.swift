import Foundation
import Mux
import ProxyConnect

/// Secrets on their way from files and the environment into the program. They never come from an argument, which the
/// process list would show; the proxy's password may, as in curl, beside better ways.
enum SecretFile {
    /// Longer than any secret: more is some other file.
    private static let maximumLength = 8_192

    /// Reads a file with a secret in it.
    static func read(_ path: String, what: String) throws(Failure) -> String {
        let bytes: Data
        do {
            let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
            bytes = try file.read(upToCount: maximumLength + 1) ?? Data()
        } catch {
            throw Failure(.configuration, "the \(what) file \(path) cannot be read: \(reason(error))")
        }
        guard bytes.count <= maximumLength, let text = String(validating: bytes, as: UTF8.self) else {
            throw Failure(.badData, "the \(what) file \(path) holds no text of at most \(maximumLength) bytes")
        }
        warnIfOthersCanRead(path, what: what)
        return text
    }

    private static func warnIfOthersCanRead(_ path: String, what: String) {
        guard
            let attributes = try? FileManager.default.attributesOfItem(atPath: path),
            let permissions = attributes[.posixPermissions] as? Int, permissions & 0o077 != 0
        else { return }
        Output.error("culvert: warning: others on this machine can read the \(what) file \(path); chmod 600 it")
    }

    /// The system's own words for a failed file operation.
    static func reason(_ error: any Error) -> String {
        let underlying = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError
        if let underlying, underlying.domain == NSPOSIXErrorDomain {
            return String(cString: strerror(Int32(underlying.code)))
        }
        return (error as NSError).localizedDescription
    }

    /// The token from the file, else from the environment, else from the configuration; nil where there is none.
    static func token(file: String?, configured: String?) throws(Failure) -> Token? {
        let environment = ProcessInfo.processInfo.environment["CULVERT_TOKEN"]
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

    /// The proxy's credentials: the user from the flag or the configuration, its password from there, the file or the
    /// environment.
    static func proxyCredentials(user: String?, passwordFile: String?) throws(Failure) -> ProxyCredentials? {
        guard let user else { return nil }
        let colon = user.firstIndex(of: ":")
        let name = String(user[..<(colon ?? user.endIndex)])
        var password = colon.map { String(user[user.index(after: $0)...]) }
        if let passwordFile {
            password = try read(passwordFile, what: "proxy password")
            if password?.hasSuffix("\n") ?? false { password?.removeLast() }
        }
        if password == nil { password = ProcessInfo.processInfo.environment["CULVERT_PROXY_PASSWORD"] }
        do throws(CredentialsError) {
            return try ProxyCredentials(user: name, password: password ?? "")
        } catch {
            throw Failure(.configuration, "--proxy-user: \(error)")
        }
    }
}
