/// What a proxy script's `FindProxyForURL` has answered: `PROXY a:8080; SOCKS5 b; DIRECT`.
///
/// Kinds, in any case of letters: `DIRECT`, `PROXY` and `HTTP` (an HTTP proxy, port 80 unless it is named), `HTTPS` (the
/// same within TLS, 443), `SOCKS5` and `SOCKS` (1080). Browsers take `SOCKS` for version 4; we speak version 5 alone, and
/// nearly every server that is meant speaks both, so that it is tried.
///
/// What cannot be read is passed over, `SOCKS4` included: one odd entry must not cost the others. Where nothing is
/// left, the answer means a direct connection, as it does in browsers.
public struct ProxyScriptAnswer: Sendable, Equatable {
    /// Ways at most; each may cost a dial ten seconds.
    public static let limit = 16

    /// The ways in the script's order, each once, 1 to `limit`; what follows those is not looked at.
    public let choices: [ProxyChoice]
    /// How many entries could not be read.
    public let passedOver: Int

    /// Reads an answer; any text is one.
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
        // A host and a port, nothing else that a URL may hold: no path, and credentials are not a script's to give.
        guard !words[1].contains(where: { "/@".utf8.contains($0) }) else { return nil }
        guard let url = try? ProxyURL("\(scheme.rawValue)://\(Substring(words[1]))") else { return nil }
        return .proxy(url)
    }

    private static func isBlank(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || (UInt8(ascii: "\t")...UInt8(ascii: "\r")).contains(byte)
    }
}
