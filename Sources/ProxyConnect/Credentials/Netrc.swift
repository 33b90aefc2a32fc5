/// Names and passwords by host, from the text of a `.netrc` file, in the dialect of curl 7.84 and later.
///
/// ```
/// machine proxy.example.com
///     login alice
///     password "open \"sesame\""
/// default login guest password guest
/// ```
///
/// - Keywords and values are separated by spaces, tabs and line ends, so an entry may stand on one line or several.
///   Keywords and hosts are compared without case, names with it.
/// - A value in double quotes may hold anything; within it `\n`, `\r` and `\t` are control characters, and a backslash
///   before any other character stands for that character. Elsewhere quotes and backslashes are plain text.
/// - `#` begins a comment, which ends with the line, where a line or a keyword may begin. Elsewhere it is plain text.
/// - `macdef` and all that follows, up to an empty line, is passed over; so is `account` with its value.
/// - What is no keyword is passed over.
///
/// Differences from curl: an entry is judged as a whole, while curl may take the name from one entry and the password
/// from another one of the same host; a value never counts as a keyword; a `macdef` is known within an entry too; a
/// value that is missing at the end, or text right behind a closing quote, is an error; a password may begin with `#`
/// without quotes, unless it stands first on its line; of two logins or passwords in one entry the first counts.
///
/// Not enforced: the size of the text, which the caller bounds, and that nobody else can read the file. The time taken
/// grows with the text's length alone.
public struct Netrc: Sendable {
    private struct Entry: Sendable {
        /// Nil for `default`.
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

    /// The entries that the text holds.
    ///
    /// - Throws: where the text makes no sense. Nothing else is judged before somebody asks for it: a file that serves
    ///   other programs too may hold what no proxy could be told.
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

    /// The name and the password for a host: those of the first entry, in the order of the text, that is the host's or
    /// the default one, and that has the user's name as its login if one is given. So a default entry hides what stands
    /// below it.
    ///
    /// An entry without a login serves any user; without a given user the name is empty then. An entry without a
    /// password means the empty one. An entry with neither is passed over.
    ///
    /// - Parameters:
    ///   - host: a name or an address, the latter without brackets.
    ///   - user: the name to find the password of.
    /// - Returns: nil when there is no such entry.
    /// - Throws: `controlCharacter` when what was found holds one.
    public func credentials(host: String, user: String? = nil) throws(NetrcError) -> ProxyCredentials? {
        for entry in entries where entry.login != nil || entry.password != nil {
            guard entry.host.map({ Self.isSameHost($0, host) }) ?? true else { continue }
            let login = entry.login ?? user ?? ""
            // By bytes: to Swift, two spellings of one accented letter are equal, to a proxy they are two names.
            guard user.map({ $0.utf8.elementsEqual(login.utf8) }) ?? true else { continue }
            do throws(CredentialsError) {
                return try ProxyCredentials(user: login, password: entry.password ?? "")
            } catch {
                throw .controlCharacter(line: entry.line)
            }
        }
        return nil
    }

    /// What stands before all entries belongs to none.
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
    /// How many entries there are, and nothing of what they hold.
    public var description: String { "netrc, entries: \(entries.count)" }

    /// Shows nothing but the number of entries.
    public var customMirror: Mirror { Mirror(self, children: ["entries": entries.count]) }
}

/// What is wrong with a `.netrc` file. Names the line, counted from 1, and never holds any of its text.
public enum NetrcError: Error, Sendable, Equatable, CustomStringConvertible {
    /// A quote that is not closed on its line, or that text follows without a space.
    case malformedQuote(line: Int)
    /// A keyword with no value behind it. The line is the keyword's.
    case missingValue(line: Int)
    /// A control character in the login or password of the entry that begins on that line.
    case controlCharacter(line: Int)

    /// The line and the reason.
    public var description: String {
        switch self {
        case .malformedQuote(let line):
            "netrc, line \(line): a quoted value must end with a quote and a space or line end after it"
        case .missingValue(let line):
            "netrc, line \(line): the keyword has no value"
        case .controlCharacter(let line):
            "netrc, line \(line): a control character in this entry's login or password"
        }
    }
}
