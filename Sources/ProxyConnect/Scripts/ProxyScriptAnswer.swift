/// The answer of a proxy script's `FindProxyForURL`, such as `PROXY a:8080; SOCKS5 b; DIRECT`.
///
/// Keywords, in any case: `DIRECT`, `PROXY` and `HTTP` (an HTTP proxy, port 80 by default), `HTTPS` (the same inside
/// TLS, port 443), `SOCKS5` and `SOCKS` (port 1080). Browsers read `SOCKS` as version 4. This implementation supports
/// only version 5, and tries it, since most such servers support both.
///
/// Unreadable entries are skipped, including `SOCKS4`, so that one wrong entry does not disable the others. If none is
/// left, the answer means a direct connection, as in browsers.
public struct ProxyScriptAnswer: Sendable, Equatable {
    /// Most ways to the server; each may cost a dial of ten seconds.
    public static let limit = 16

    /// The distinct ways in the script's order, 1 to `limit`; later ones are ignored.
    public let choices: [ProxyChoice]
    /// The number of unreadable entries.
    public let passedOver: Int

    /// Parses an answer; every text is valid.
    public init(_ text: String) {
        var choices: [ProxyChoice] = []
        var passedOver = 0
        for entry in text.utf8.split(separator: UInt8(ascii: ";")) {
            let words = entry.split(whereSeparator: Self.isBlank)
            if words.isEmpty { continue }
            guard choices.count < Self.limit else { break }
            guard let choice = Self.choice(words) else {
                passedOver += 1
                continue
            }
            if !choices.contains(choice) { choices.append(choice) }
        }
        self.choices = choices.isEmpty ? [.direct] : choices
        self.passedOver = passedOver
    }

    private static func choice(_ words: [Substring.UTF8View.SubSequence]) -> ProxyChoice? {
        let scheme: ProxyURL.Scheme
        switch String(Substring(words[0])).uppercased() {
        case "DIRECT": return words.count == 1 ? .direct : nil
        case "PROXY", "HTTP": scheme = .http
        case "HTTPS": scheme = .https
        case "SOCKS", "SOCKS5": scheme = .socks5
        default: return nil
        }
        guard words.count == 2 else { return nil }
        // Only a host and a port: no path, and a script must not supply credentials.
        guard !words[1].contains(where: { "/@".utf8.contains($0) }) else { return nil }
        guard let url = try? ProxyURL("\(scheme.rawValue)://\(Substring(words[1]))") else { return nil }
        return .proxy(url)
    }

    private static func isBlank(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || (UInt8(ascii: "\t")...UInt8(ascii: "\r")).contains(byte)
    }
}
