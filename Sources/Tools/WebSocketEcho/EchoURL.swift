import ArgumentParser

/// `ws://HOST:PORT`, with or without a slash at the end.
struct EchoURL: ExpressibleByArgument, Sendable {
    let host: String
    let port: Int

    /// The value of the Host field.
    var authority: String { "\(host):\(port)" }

    init?(argument: String) {
        let scheme = "ws://"
        guard argument.hasPrefix(scheme) else { return nil }
        var rest = argument.dropFirst(scheme.count)
        if rest.last == "/" { rest.removeLast() }
        guard let colon = rest.lastIndex(of: ":"), colon > rest.startIndex,
            let port = Int(rest[rest.index(after: colon)...]), (1...65_535).contains(port)
        else { return nil }
        host = String(rest[..<colon])
        self.port = port
    }

    /// The text for a query, with all reserved bytes percent-encoded (RFC 3986 section 2.1).
    static func queryValue(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF")
        return text.utf8.map { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
                String(UnicodeScalar(byte))
            default:
                "%\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
            }
        }.joined()
    }
}
