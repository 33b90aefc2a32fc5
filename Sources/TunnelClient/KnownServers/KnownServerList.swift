import NetworkAddress
import Seal

/// The keys of servers, as a file of known servers has them. Pure.
///
/// ```
/// # a comment
/// tunnel.example:443 culvert-key-1:BASE64
/// [2001:db8::1]:8443 culvert-key-1:BASE64   # a comment
/// ```
///
/// Several lines of one server have several right keys. Names are compared without regard to case, and addresses by
/// their value.
public struct KnownServerList: Sendable {
    /// The numbers of the lines, from 1, that are neither blank, nor a comment, nor a server with its key. They are
    /// left out.
    public private(set) var malformedLines: [Int] = []

    private var keys: [String: [ServerPublicKey]] = [:]
    /// The servers whose line has no key that can be read.
    private var damaged: Set<String> = []

    /// An empty list.
    public init() {}

    /// Reads a text. It takes line ends of LF and of CR LF, and a byte order mark.
    public init(_ text: String) {
        self.init(bytes: Array(text.utf8))
    }

    /// Reads the content of a file, which may have any bytes.
    init(bytes: [UInt8]) {
        let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
        let content = bytes.starts(with: mark) ? bytes.dropFirst(mark.count) : bytes[...]
        let lines = content.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        for (index, line) in lines.enumerated() {
            let fields = line.split { Self.spaces.contains($0) }
            guard let first = fields.first, first.first != Self.hash else { continue }
            let hasComment = fields.count > 2 && fields[2].first == Self.hash
            guard fields.count == 2 || hasComment,
                let server = Self.server(String(decoding: first, as: UTF8.self)),
                let key = ServerPublicKey(text: String(decoding: fields[1], as: UTF8.self))
            else {
                malformedLines.append(index + 1)
                if let server = Self.server(String(decoding: first, as: UTF8.self)) { damaged.insert(server) }
                continue
            }
            insert(key, server)
        }
    }

    /// The keys of a server, in the order of the lines; empty for an unknown server.
    ///
    /// - Parameter authority: `HOST:PORT`, with an IPv6 address in brackets.
    public func keys(of authority: String) -> [ServerPublicKey] {
        Self.server(authority).flatMap { keys[$0] } ?? []
    }

    /// Whether a line of a server is malformed. The server was known then, by a key that cannot be read any more.
    ///
    /// - Parameter authority: as for ``keys(of:)``.
    public func isDamaged(_ authority: String) -> Bool { Self.server(authority).map(damaged.contains) ?? false }

    /// Adds a key of a server; no change if the key is there, or if the authority is not `HOST:PORT`.
    mutating func insert(_ key: ServerPublicKey, of authority: String) {
        if let server = Self.server(authority) { insert(key, server) }
    }

    private mutating func insert(_ key: ServerPublicKey, _ server: String) {
        guard keys[server]?.contains(key) != true else { return }
        keys[server, default: []].append(key)
    }

    /// The line of a key, without a line end; nil if the authority is not `HOST:PORT`.
    static func line(_ key: ServerPublicKey, of authority: String) -> String? {
        server(authority).map { "\($0) \(key.text)" }
    }

    /// The one spelling of `HOST:PORT`; nil for any other text.
    private static func server(_ text: String) -> String? {
        guard let (host, port) = splitHostPort(text[...], defaultPort: 0), port > 0 else { return nil }
        guard text.utf8.first == UInt8(ascii: "[") else { return "\(host.lowercased()):\(port)" }
        return IPAddress(host).map { "[\($0)]:\(port)" }
    }

    private static let hash = UInt8(ascii: "#")
    private static let spaces: [UInt8] = [UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r")]
}
