/// User names and passwords by host, parsed from a `.netrc` file in the dialect of curl 7.84 and later.
///
/// ```
/// machine proxy.example.com
///     login alice
///     password "open \"sesame\""
/// default login guest password guest
/// ```
///
/// - Keywords and values are separated by spaces, tabs and line ends, so an entry may span several lines. Keywords and
///   hosts are compared without case, names with it.
/// - A value in double quotes may contain anything. Inside it, `\n`, `\r` and `\t` are control characters, and a
///   backslash before any other character stands for that character. Outside, quotes and backslashes are literal.
/// - `#` begins a comment up to the end of the line, if a line or a keyword may begin there. Elsewhere it is literal.
/// - `macdef` and its body up to an empty line are skipped, as is `account` with its value.
/// - Words that are not keywords are skipped.
///
/// Differences from curl:
/// - An entry is matched as a whole, while curl may combine the name and the password of two entries for one host.
/// - A value never counts as a keyword, and `macdef` is recognised inside an entry too.
/// - A missing value at the end, or text directly behind a closing quote, is an error.
/// - A password may begin with `#` without quotes, unless it is the first word of its line.
/// - The first of two logins or passwords in one entry counts.
///
/// Not enforced: the size of the text, which the caller limits, and the file's permissions. Parsing is linear.
public struct Netrc: Sendable {
    private struct Entry: Sendable {
        /// The entry's host; nil for `default`.
        let host: String?
        let line: Int
        var login: String?
        var password: String?

        init(host: String?, line: Int) {
            self.host = host
            self.line = line
        }
    }

    private var entries: [Entry] = []

    /// Parses the entries of a text.
    ///
    /// - Throws: ``NetrcError`` if the syntax is wrong. Values are checked only when used, since a file for other
    ///   programs may hold some that no proxy accepts.
    public init(_ text: String) throws(NetrcError) {
        var reader = NetrcReader(text)
        while let token = try reader.next() {
            switch token.text.lowercased() {
            case "machine": entries.append(Entry(host: try reader.value(of: token), line: token.line))
            case "default": entries.append(Entry(host: nil, line: token.line))
            case "login": set(\.login, try reader.value(of: token))
            case "password": set(\.password, try reader.value(of: token))
            case "account": _ = try reader.value(of: token)
            case "macdef": reader.skipMacro()
            default: continue
            }
        }
    }

    /// Returns the name and the password for a host.
    ///
    /// The first matching entry counts: it is the host's or the default one, and has the given user as its login. So a
    /// default entry hides those below it. An entry without a login matches any user; without a given user the name is
    /// then empty. An entry without a password has an empty one. An entry with neither is skipped.
    ///
    /// - Parameters:
    ///   - host: a name or an address, without brackets.
    ///   - user: the user whose password is needed; nil for any.
    /// - Returns: nil if no entry matches.
    /// - Throws: `controlCharacter` if the matching entry contains one.
    public func credentials(host: String, user: String? = nil) throws(NetrcError) -> ProxyCredentials? {
        for entry in entries where entry.login != nil || entry.password != nil {
            guard entry.host.map({ Self.isSameHost($0, host) }) ?? true else { continue }
            let login = entry.login ?? user ?? ""
            // Compared by bytes: Swift equates two spellings of an accented letter, proxies do not.
            guard user.map({ $0.utf8.elementsEqual(login.utf8) }) ?? true else { continue }
            do throws(CredentialsError) {
                return try ProxyCredentials(user: login, password: entry.password ?? "")
            } catch {
                throw .controlCharacter(line: entry.line)
            }
        }
        return nil
    }

    /// Sets a part of the last entry. Parts before the first entry are ignored.
    private mutating func set(_ part: WritableKeyPath<Entry, String?>, _ value: String) {
        guard let last = entries.indices.last, entries[last][keyPath: part] == nil else { return }
        entries[last][keyPath: part] = value
    }

    private static func isSameHost(_ left: String, _ right: String) -> Bool {
        left.utf8.elementsEqual(right.utf8) { lowered($0) == lowered($1) }
    }

    private static func lowered(_ byte: UInt8) -> UInt8 {
        byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
    }
}

extension Netrc: CustomStringConvertible, CustomReflectable {
    /// The number of entries, without their contents.
    public var description: String { "netrc, entries: \(entries.count)" }

    /// Hides everything but the number of entries.
    public var customMirror: Mirror { Mirror(self, children: ["entries": entries.count]) }
}
