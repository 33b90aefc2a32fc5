import ByteText

/// A host and a port as they stand in a URL: `name:80`, `192.0.2.1:80`, `[2001:db8::1]:80`.
public struct HostPort: Sendable, Hashable, CustomStringConvertible {
    /// The name or the address; IPv6 without brackets.
    public let host: String
    /// 1 to 65,535.
    public let port: UInt16

    /// Reads a host with a port, or without one if there is a default; nil for anything else.
    public init?(_ text: some StringProtocol, defaultPort: UInt16? = nil) {
        let text = String(text)
        var host = text.utf8.prefix { $0 != UInt8(ascii: ":") }
        if text.utf8.first == UInt8(ascii: "[") {
            guard let end = text.utf8.firstIndex(of: UInt8(ascii: "]")) else { return nil }
            host = text.utf8[...end]
        }
        let tail = text.utf8[host.endIndex...]
        if let colon = tail.first {
            guard colon == UInt8(ascii: ":"), let number = DecimalText.value(tail.dropFirst(), through: 65_535),
                let port = UInt16(exactly: number), port > 0
            else { return nil }
            self.port = port
        } else {
            guard let defaultPort else { return nil }
            port = defaultPort
        }
        guard let name = HostName.normalized(String(Substring(host))) else { return nil }
        self.host = name
    }

    /// The host and the port as in a URL.
    public var description: String { "\(host.contains(":") ? "[\(host)]" : host):\(port)" }
}
