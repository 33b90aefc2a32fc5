import Mux
import NetworkAddress
import TunnelCore

/// One tunnel, written as ssh's `-R`: `[BIND:]PORT:HOST:HOSTPORT` or `[BIND:]PORT:HOSTPORT`.
public struct TunnelSpec: Sendable, Hashable, CustomStringConvertible {
    /// The address to which the public port is narrowed; empty for the server's own choice.
    public let bind: String
    /// The public port, 0 for one that the server chooses.
    public let port: UInt16
    /// The service's host; IPv6 without brackets.
    public let host: String
    /// The service's port.
    public let hostPort: UInt16
    /// The limits of the tunnel's visitors, besides those of the server's operator.
    public var visitors = RequestedVisitorLimits()
    /// The version of the PROXY protocol header that the service receives before a visitor's first byte; nil for none.
    public var proxyProtocol: ProxyProtocolVersion? {
        didSet { visitors.wantsPublicAddress = proxyProtocol != nil }
    }

    /// The reason why a text is not a tunnel.
    public struct Malformed: Error, Sendable, CustomStringConvertible {
        /// One line for a person.
        public let description: String

        /// A reason in one line.
        public init(_ description: String) {
            self.description = description
        }
    }

    /// Reads a tunnel of one port.
    ///
    /// - Throws: ``Malformed``, which names the wrong part.
    public init(_ text: String) throws(Malformed) {
        let all = try Self.list(text)
        guard let first = all.first, all.count == 1 else {
            throw Malformed("-R \(text): a range of ports stands for several tunnels")
        }
        self = first
    }

    /// Reads a tunnel of one port, or a tunnel for each port of a range. The first tunnel of `8000-8010:localhost:8000-8010`
    /// is `8000:localhost:8000`.
    ///
    /// - Throws: ``Malformed``, which names the wrong part.
    public static func list(_ text: String) throws(Malformed) -> [TunnelSpec] {
        let form = "[BIND:]PORT:HOST:HOSTPORT, for instance 8022:localhost:22"
        func malformed(_ why: String) -> Malformed { Malformed("-R \(text): \(why); the form is \(form)") }
        guard let parts = parts(text) else { throw malformed("a bracket is not closed") }
        let bind: Substring
        let port: Substring
        let host: Substring
        let hostPort: Substring
        switch parts.count {
        case 2: (bind, port, host, hostPort) = ("", parts[0], "localhost", parts[1])
        case 3: (bind, port, host, hostPort) = ("", parts[0], parts[1], parts[2])
        case 4: (bind, port, host, hostPort) = (parts[0], parts[1], parts[2], parts[3])
        default: throw malformed("it has \(parts.count) parts")
        }
        guard let ports = portRange(port) else { throw malformed("\(port) is not a port") }
        guard let hostPorts = portRange(hostPort), hostPorts.lowerBound > 0 else {
            throw malformed("\(hostPort) is not a service's port")
        }
        guard ports.count == hostPorts.count else {
            throw malformed("\(port) has \(ports.count) ports and \(hostPort) has \(hostPorts.count)")
        }
        guard ports.count == 1 || ports.lowerBound > 0 else { throw malformed("a range cannot begin with 0") }
        guard bind.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else { throw malformed("the address is malformed") }
        guard isHost(host) else { throw malformed("the service's host is missing or malformed") }
        return zip(ports, hostPorts).map { port, hostPort in
            TunnelSpec(bind: String(bind), port: port, host: String(host), hostPort: hostPort)
        }
    }

    private init(bind: String, port: UInt16, host: String, hostPort: UInt16) {
        (self.bind, self.port, self.host, self.hostPort) = (bind, port, host, hostPort)
    }

    /// `8022` or `8000-8010`.
    private static func portRange(_ text: Substring) -> ClosedRange<UInt16>? {
        let ends = text.split(separator: "-", omittingEmptySubsequences: false)
        guard ends.count <= 2, let first = ends.first.flatMap(Port.parse), let last = ends.last.flatMap(Port.parse),
            first <= last
        else { return nil }
        return first...last
    }

    /// Whether a text is a name, or an address in the form that all readers take for the same. `127.1`, `0x7f.1` and
    /// `0177.0.0.1` are not.
    private static func isHost(_ text: Substring) -> Bool {
        guard text.contains(":") else { return HostName.normalized(String(text)) != nil }
        // A link-local address may have the name of its link.
        let parts = text.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = IPAddress(String(parts[0])), case .v6 = address else { return false }
        return parts.count == 1 || HostName.normalized("if-" + parts[1]) != nil
    }

    /// Splits at colons outside brackets, and removes the brackets.
    private static func parts(_ text: String) -> [Substring]? {
        var parts: [Substring] = []
        var rest = Substring(text)
        while true {
            if rest.hasPrefix("[") {
                guard let end = rest.firstIndex(of: "]") else { return nil }
                parts.append(rest[rest.index(after: rest.startIndex)..<end])
                rest = rest[rest.index(after: end)...]
                guard rest.isEmpty || rest.hasPrefix(":") else { return nil }
            } else {
                let end = rest.firstIndex(of: ":") ?? rest.endIndex
                parts.append(rest[..<end])
                rest = rest[end...]
            }
            if rest.isEmpty { return parts }
            rest = rest.dropFirst()
        }
    }

    /// Whether two tunnels need the same public port, so that the server can bind only one of them.
    public func collides(with other: TunnelSpec) -> Bool {
        guard port > 0, port == other.port else { return false }
        let (mine, others) = (Self.addresses(bind), Self.addresses(other.bind))
        return mine.isEmpty || others.isEmpty || !mine.isDisjoint(with: others)
    }

    /// The first of the others that needs a public port of these.
    public static func collision(_ these: [TunnelSpec], _ others: [TunnelSpec]) -> TunnelSpec? {
        let ports = Dictionary(grouping: these, by: \.port)
        return others.first { other in ports[other.port]?.contains(where: other.collides) == true }
    }

    /// The addresses of a BIND in one spelling; empty for all of the server's.
    private static func addresses(_ bind: String) -> Set<String> {
        switch bind {
        case "", "*", "0.0.0.0", "::": []
        case "localhost": ["127.0.0.1", "::1"]
        default: [IPAddress(bind)?.description ?? bind]
        }
    }

    /// `localhost:22`.
    public var service: String { "\(host.contains(":") ? "[\(host)]" : host):\(hostPort)" }

    /// The tunnel as it is written for `-R`.
    public var description: String {
        let bind = self.bind.isEmpty ? "" : (self.bind.contains(":") ? "[\(self.bind)]:" : "\(self.bind):")
        return "\(bind)\(port):\(service)"
    }
}
