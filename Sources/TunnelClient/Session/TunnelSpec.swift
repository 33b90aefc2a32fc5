import Mux
import NetworkAddress
import TunnelCore

/// One tunnel, written as ssh's `-R`.
///
/// | form | meaning |
/// |---|---|
/// | `[BIND:]PORT:HOST:HOSTPORT`, `[BIND:]PORT:HOSTPORT` | a public port for a service; `/udp` behind it stands for UDP |
/// | `[BIND:]PORT:/SOCKET` | a public port for a service at a Unix socket |
/// | `/SOCKET:HOST:HOSTPORT`, `/SOCKET:HOSTPORT`, `/SOCKET:/SOCKET` | a Unix socket at the server |
/// | `[BIND:]PORT` | a SOCKS proxy at the server's port |
/// | `http:NAME[/PATH]:HOST:HOSTPORT` | a host name whose requests the server relays |
/// | `tls:NAME:HOST:HOSTPORT` | a host name whose TLS the server passes through |
///
/// The service of a name may be written in the other ways too: `HOSTPORT` or `/SOCKET`.
public struct TunnelSpec: Sendable, Hashable, CustomStringConvertible {
    /// The address to which the public port is narrowed; empty for the server's own choice. Or the path of a Unix socket at
    /// the server, which begins with a slash.
    public let bind: String
    /// The public port, 0 for one that the server chooses, and for a Unix socket.
    public let port: UInt16
    /// The service.
    public let target: Target
    /// UDP for flows of datagrams in place of connections.
    public var transport = StreamTransport.tcp
    /// The host name at which the service is public, in place of a port; nil for a port or a Unix socket.
    public var name: RequestedName?
    /// The group with which the tunnel shares its public place; nil for none.
    public var group: RequestedGroup?
    /// How the client checks the service; nil if only visitors show whether it answers.
    public var health: HealthCheck?
    /// The limits of the tunnel's visitors, besides those of the server's operator.
    public var visitors = RequestedVisitorLimits()
    /// The version of the PROXY protocol header that the service receives before a visitor's first byte; nil for none.
    public var proxyProtocol: ProxyProtocolVersion? {
        didSet { visitors.wantsPublicAddress = proxyProtocol != nil }
    }

    /// A service behind a tunnel.
    public enum Target: Sendable, Hashable {
        /// A host, IPv6 without brackets, and a port.
        case address(host: String, port: UInt16)
        /// The path of a Unix socket.
        case unix(path: String)
        /// What each visitor names by SOCKS 5, 4 or 4a, of the destinations that the client allows.
        case socks
        /// A closure of the program.
        case inProcess(InProcessService)
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
        let form =
            "[BIND:]PORT:HOST:HOSTPORT[/udp], [BIND:]PORT:/SOCKET, /SOCKET:HOST:HOSTPORT or [BIND:]PORT, for instance "
            + "8022:localhost:22"
        func malformed(_ why: String) -> Malformed { Malformed("-R \(text): \(why); the form is \(form)") }
        guard var parts = ForwardText.parts(text) else { throw malformed("a bracket is not closed") }
        if let first = parts.first, let relay = TunnelName.relay(first) {
            return [try TunnelName.spec(relay, parts.dropFirst(), text)]
        }
        let transport = ForwardText.takeTransport(&parts)
        if let path = parts.first, path.hasPrefix("/") {
            guard transport == .tcp else { throw malformed("a Unix socket carries no UDP") }
            return [try atPath(String(path), parts.dropFirst(), malformed)]
        }
        if let single = try single(parts, malformed) {
            guard transport == .tcp else {
                let place = single.target == .socks ? "public SOCKS port" : "Unix socket"
                throw malformed("a \(place) carries no UDP")
            }
            return [single]
        }
        let (bind, port, service): (Substring, Substring, ArraySlice<Substring>)
        switch parts.count {
        case 2, 3: (bind, port, service) = ("", parts[0], parts.dropFirst())
        case 4: (bind, port, service) = (parts[0], parts[1], parts.dropFirst(2))
        default: throw malformed("it has \(parts.count) parts")
        }
        let (host, hostPorts) = try Self.service(service, malformed)
        guard let ports = ForwardText.portRange(port) else { throw malformed("\(port) is not a port") }
        guard ports.count == hostPorts.count else {
            throw malformed(
                "\(port) has \(ports.count) ports and \(service[service.endIndex - 1]) has \(hostPorts.count)"
            )
        }
        guard ports.count == 1 || ports.lowerBound > 0 else { throw malformed("a range cannot begin with 0") }
        guard bind.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else { throw malformed("the address is malformed") }
        return zip(ports, hostPorts).map { port, hostPort in
            var tunnel = TunnelSpec(port: port, bind: String(bind), to: .address(host: host, port: hostPort))
            tunnel.transport = transport
            return tunnel
        }
    }

    /// Reads `HOST:HOSTPORT` or `HOSTPORT`, which may be a range of ports.
    static func service(
        _ parts: ArraySlice<Substring>,
        _ malformed: (String) -> Malformed
    ) throws(Malformed) -> (host: String, ports: ClosedRange<UInt16>) {
        guard (1...2).contains(parts.count), let port = parts.last else { throw malformed("the service is missing") }
        guard let ports = ForwardText.portRange(port), ports.lowerBound > 0 else {
            throw malformed("\(port) is not a service's port")
        }
        let host = parts.count == 2 ? parts[parts.startIndex] : "localhost"
        guard ForwardText.isHost(host) else { throw malformed("the service's host is missing or malformed") }
        return (String(host), ports)
    }

    /// Reads a path in the form that has one spelling only.
    static func path(_ text: String, _ malformed: (String) -> Malformed) throws(Malformed) -> String {
        guard Destination(text) != nil else {
            throw malformed("a path has no empty parts, and no . or .., and at most \(Destination.longestPath) bytes")
        }
        return text
    }

    /// A tunnel at a Unix socket of the server.
    private static func atPath(
        _ place: String,
        _ parts: ArraySlice<Substring>,
        _ malformed: (String) -> Malformed
    ) throws(Malformed) -> TunnelSpec {
        let place = try path(place, malformed)
        if parts.count == 1, let socket = parts.first, socket.hasPrefix("/") {
            return TunnelSpec(port: 0, bind: place, to: .unix(path: try path(String(socket), malformed)))
        }
        let (host, ports) = try service(parts, malformed)
        guard ports.count == 1 else { throw malformed("a Unix socket stands for one port") }
        return TunnelSpec(port: 0, bind: place, to: .address(host: host, port: ports.lowerBound))
    }

    /// A tunnel to a Unix socket, `[BIND:]PORT:/SOCKET`, or a SOCKS tunnel, `PORT` or `BIND:PORT` if BIND is no port; nil
    /// for other forms.
    private static func single(
        _ parts: [Substring],
        _ malformed: (String) -> Malformed
    ) throws(Malformed) -> TunnelSpec? {
        let listen: [Substring]
        let target: Target
        if let path = parts.last, path.hasPrefix("/") {
            (listen, target) = (parts.dropLast(), .unix(path: try Self.path(String(path), malformed)))
        } else if parts.count == 1 || parts.count == 2 && ForwardText.portRange(parts[0]) == nil {
            (listen, target) = (parts, .socks)
        } else {
            return nil
        }
        guard (1...2).contains(listen.count) else { throw malformed("it has \(parts.count) parts") }
        let text = listen[listen.count - 1]
        guard let port = Port.parse(text) else { throw malformed("\(text) is not a port") }
        let bind = listen.count == 2 ? listen[0] : ""
        guard bind.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else { throw malformed("the address is malformed") }
        return TunnelSpec(port: port, bind: String(bind), to: target)
    }

    /// A tunnel from a public port to a service.
    ///
    /// - Parameters:
    ///   - port: 0 for one that the server chooses.
    ///   - bind: the address to which the public port is narrowed; empty for the server's own choice.
    public init(port: UInt16, bind: String = "", to target: Target) {
        (self.port, self.bind, self.target) = (port, bind, target)
    }

    /// What the tunnel's streams carry.
    var kind: StreamKind { transport == .udp ? .udp : .tcp }

    /// Whether the tunnel is at a Unix socket of the server.
    public var isAtPath: Bool { bind.hasPrefix("/") }

    /// Whether several sessions can share its public place as a group: a TCP port that is written, or a host name.
    public var isShareable: Bool { name != nil || transport == .tcp && !isAtPath && port > 0 }

    /// Whether two tunnels need the same public port or Unix socket, so that the server can bind only one of them.
    public func collides(with other: TunnelSpec) -> Bool {
        if let name, let otherName = other.name {
            return name.relay == otherName.relay && name.name == otherName.name && name.path == otherName.path
        }
        guard name == nil, other.name == nil else { return false }
        if isAtPath || other.isAtPath { return bind == other.bind }
        guard port > 0, port == other.port, transport == other.transport else { return false }
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

    /// The service for people: `localhost:22`, or the name of a service in the program.
    public var service: String {
        switch target {
        case .address(let host, let port): "\(host.contains(":") ? "[\(host)]" : host):\(port)"
        case .unix(let path): path
        case .socks: "socks"
        case .inProcess(let service): service.name
        }
    }

    /// The tunnel as it is written for `-R`.
    public var description: String {
        if let name { return "\(name.relay == .http ? "http" : "tls"):\(name.name)\(name.path):\(service)" }
        if isAtPath { return "\(bind):\(service)" }
        let bind = self.bind.isEmpty ? "" : (self.bind.contains(":") ? "[\(self.bind)]:" : "\(self.bind):")
        return target == .socks ? "\(bind)\(port)" : "\(bind)\(port):\(service)\(transport == .udp ? "/udp" : "")"
    }
}
