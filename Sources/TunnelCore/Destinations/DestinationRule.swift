import NetworkAddress

/// One entry of `allow_connect`: destinations that a client may name.
///
/// | form | allows |
/// |---|---|
/// | `db.internal:5432` | the host that is written so, wherever its name leads |
/// | `*.internal:443` | hosts whose names end so |
/// | `10.1.0.0/16:*`, `[2001:db8::]/32:443`, `192.0.2.7:22` | addresses |
/// | `*:443` | all hosts |
/// | `/run/postgresql/*`, `/run/x.sock` | the Unix sockets of one folder, or one of them |
///
/// Ports are one, a list with ranges such as `80,8000-8010`, or `*`. A suffix `/tcp` or `/udp` narrows the rule to that
/// transport. ``DestinationPolicy`` says which addresses need a rule of their own.
public struct DestinationRule: Sendable, Hashable, CustomStringConvertible {
    enum Place: Hashable {
        /// In lower case, without a final dot.
        case name(String)
        /// The end of a name, with its first dot.
        case domain(String)
        case block(CIDRBlock)
        case anyHost
        case path(String)
        /// A folder, with its last slash.
        case folder(String)
    }

    let place: Place
    /// Nil for all ports.
    let ports: PortRanges?
    /// Nil for both.
    let transport: StreamTransport?
    /// The rule as it was written.
    public let description: String

    /// What is expected, for an error.
    public static let form =
        "expected HOST:PORT, BLOCK:PORT or /PATH, for instance db.internal:5432, 10.1.0.0/16:* or /run/postgresql/*"

    /// Reads a rule; nil if the text is not one.
    public init?(_ text: String) {
        description = text
        if text.utf8.first == UInt8(ascii: "/") {
            let isFolder = text.hasSuffix("/*")
            let path = isFolder ? String(text.dropLast(2)) : text
            guard Destination.isPlainPath(path), !path.contains("*") else { return nil }
            place = isFolder ? .folder(String(text.dropLast())) : .path(text)
            (ports, transport) = (nil, nil)
            return
        }
        var rest = Substring(text)
        transport = Self.transport(&rest)
        guard let colon = rest.lastIndex(of: ":") else { return nil }
        let portText = rest[rest.index(after: colon)...]
        if portText == "*" {
            ports = nil
        } else {
            guard let ranges = PortRanges(String(portText)), !portText.contains(" ") else { return nil }
            ports = ranges
        }
        guard let place = Self.place(String(rest[..<colon])) else { return nil }
        self.place = place
    }

    /// Takes the suffix `/tcp` or `/udp`.
    private static func transport(_ text: inout Substring) -> StreamTransport? {
        for transport in [StreamTransport.tcp, .udp] where text.hasSuffix("/\(transport.rawValue)") {
            text = text.dropLast(transport.rawValue.count + 1)
            return transport
        }
        return nil
    }

    private static func place(_ text: String) -> Place? {
        if text == "*" { return .anyHost }
        if text.hasPrefix("*.") {
            guard let domain = HostName.normalized(String(text.dropFirst(2))), IPAddress(domain) == nil else {
                return nil
            }
            return .domain("." + plainName(domain))
        }
        // An IPv6 block has its brackets around the address alone.
        let unbracketed = text.hasPrefix("[") ? text.filter { $0 != "[" && $0 != "]" } : text
        if text.contains("/") { return CIDRBlock(unbracketed).map { .block($0) } }
        if text.contains(":"), !text.hasPrefix("[") { return nil }
        if let address = IPAddress(text) { return .block(CIDRBlock(address)) }
        return HostName.normalized(text).map { .name(plainName($0)) }
    }

    /// The form in which names are compared: lower case, without the final dot.
    static func plainName(_ name: String) -> String {
        let lowered = name.lowercased()
        return lowered.hasSuffix(".") ? String(lowered.dropLast()) : lowered
    }

    // MARK: Comparison

    func allows(_ port: UInt16, _ transport: StreamTransport) -> Bool {
        ports?.contains(port) != false && (self.transport == nil || self.transport == transport)
    }

    /// Whether the rule writes this port, and no other.
    func isOnly(_ port: UInt16) -> Bool {
        ports.map { $0.ranges == [port...port] } ?? false
    }

    /// Whether the rule is about the name as it is written.
    func matches(name: String) -> Bool {
        switch place {
        case .name(let own): own == name
        case .domain(let end): name.hasSuffix(end) && name.utf8.count > end.utf8.count
        case .anyHost: true
        case .block, .path, .folder: false
        }
    }

    /// Whether the rule covers the address.
    func matches(_ address: IPAddress) -> Bool {
        switch place {
        case .block(let block): block.contains(address)
        case .anyHost: true
        case .name, .domain, .path, .folder: false
        }
    }

    /// Whether the rule writes this address, and no other.
    func isOnly(_ address: IPAddress) -> Bool {
        if case .block(let block) = place { block == CIDRBlock(address) } else { false }
    }
}
