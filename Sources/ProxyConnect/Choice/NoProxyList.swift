import ByteText
import NetworkAddress

/// The servers that are reached without a proxy, parsed from `no_proxy`.
///
/// Entries are separated by commas or white space:
///
/// | entry | matches |
/// |---|---|
/// | `*` | everything |
/// | `example.com`, `.example.com`, `*.example.com` | that name and all below it |
/// | `192.0.2.1`, `2001:db8::1`, `[2001:db8::1]` | that address in any spelling |
/// | `10.0.0.0/8`, `fd00::/8` | addresses in the block |
/// | any name or address with `:port` (IPv6 in brackets) | the same, at that port only |
///
/// Names are compared without case and without a final dot. Nothing is resolved: an address in the list does not match
/// a name with that address. Any other entry matches nothing.
public struct NoProxyList: Sendable, Hashable {
    private enum Host: Sendable, Hashable {
        case everything
        case name(String)
        case address(IPAddress)
        case block(CIDRBlock)
    }

    private struct Entry: Sendable, Hashable {
        var host: Host
        var port: Int?
    }

    private let entries: [Entry]

    /// Parses a list.
    public init(_ text: String) {
        entries = text.unicodeScalars.split { $0 == "," || $0.properties.isWhitespace }
            .compactMap { Self.entry(String($0)) }
    }

    /// Returns whether the server is reached without a proxy.
    public func contains(host: String, port: Int) -> Bool {
        let address = IPAddress(host)?.unmapped
        let name = Self.canonicalName(host)
        return entries.contains { entry in
            guard entry.port ?? port == port else { return false }
            switch entry.host {
            case .everything: return true
            case .name(let suffix): return address == nil && (name == suffix || name.hasSuffix("." + suffix))
            case .address(let other): return address == other
            case .block(let block): return address.map { block.contains($0) } ?? false
            }
        }
    }

    private static func entry(_ text: String) -> Entry? {
        if text == "*" { return Entry(host: .everything) }
        if text.utf8.contains(UInt8(ascii: "/")) {
            return CIDRBlock(text).map { Entry(host: .block($0)) }
        }
        if let address = IPAddress(text) { return Entry(host: .address(address.unmapped)) }
        var host = text
        var port: Int?
        if let colon = text.utf8.lastIndex(of: UInt8(ascii: ":")) {
            guard let number = DecimalText.value(text.utf8[colon...].dropFirst(), through: 65535) else { return nil }
            port = number
            host = String(text[..<colon])
            if host == "*" { return Entry(host: .everything, port: port) }
            if let address = IPAddress(host) { return Entry(host: .address(address.unmapped), port: port) }
        }
        var name = canonicalName(host)
        if name.hasPrefix("*.") { name.removeFirst(2) } else if name.hasPrefix(".") { name.removeFirst() }
        guard HostName.normalized(name) != nil else { return nil }
        return Entry(host: .name(name), port: port)
    }

    private static func canonicalName(_ text: String) -> String {
        let name = text.lowercased()
        return name.hasSuffix(".") ? String(name.dropLast()) : name
    }
}
