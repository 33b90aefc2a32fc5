import NetworkAddress
import TunnelCore

/// One forward, written as ssh's `-L` or `-D`: the client listens, and the server connects.
public struct ForwardSpec: Sendable, Hashable, CustomStringConvertible {
    /// Where the client listens.
    public let listen: Listen
    /// Where the connections or flows lead.
    public let target: Target
    /// UDP for flows of datagrams in place of connections.
    public var transport = StreamTransport.tcp

    /// A place of this machine on which a forward listens.
    public enum Listen: Sendable, Hashable {
        /// A port, 0 for one that the system chooses, of an address of this machine; `localhost` for both loopback
        /// addresses, `*` for all.
        case port(UInt16, on: String)
        /// The path of a Unix socket, which only its user may connect to.
        case path(String)
    }

    /// Where the connections of a forward lead.
    public enum Target: Sendable, Hashable {
        /// To one destination, as the server sees it.
        case destination(Destination)
        /// To the destination that each connection names by SOCKS 5, 4 or 4a.
        case socks
    }

    /// The reason why a text is not a forward.
    public struct Malformed: Error, Sendable, CustomStringConvertible {
        /// One line for a person.
        public let description: String
    }

    /// A forward from a local port.
    ///
    /// - Parameters:
    ///   - port: 0 for one that the system chooses.
    ///   - address: an address of this machine; `localhost` for both loopback addresses, `*` for all.
    public init(port: UInt16, on address: String = "localhost", to target: Target) {
        self.init(.port(port, on: address), to: target)
    }

    /// A forward from a port or a Unix socket.
    public init(_ listen: Listen, to target: Target) {
        (self.listen, self.target) = (listen, target)
    }

    /// Reads one `-L`: `[BIND:]PORT:HOST:HOSTPORT`, or `[BIND:]PORT:HOSTPORT` for the server's own `localhost`, or a range
    /// of ports, of which each is a forward. `/udp` behind HOSTPORT stands for UDP. `/SOCKET` may stand for `[BIND:]PORT`,
    /// and for `HOST:HOSTPORT`.
    ///
    /// - Throws: ``Malformed``, which names the wrong part.
    public static func list(_ text: String) throws(Malformed) -> [ForwardSpec] {
        func malformed(_ why: String) -> Malformed {
            Malformed(
                description:
                    "-L \(text): \(why); the form is [BIND:]PORT:HOST:HOSTPORT[/udp], or /SOCKET at either end, for instance "
                    + "5432:db.internal:5432"
            )
        }
        guard var parts = ForwardText.parts(text) else { throw malformed("a bracket is not closed") }
        let transport = ForwardText.takeTransport(&parts)
        if parts.first?.hasPrefix("/") == true || parts.last?.hasPrefix("/") == true {
            guard transport == .tcp else { throw malformed("a Unix socket carries no UDP") }
            return [try ForwardSpec(withPath: parts, malformed)]
        }
        let (bind, port, host, hostPort): (Substring, Substring, Substring, Substring)
        switch parts.count {
        case 2: (bind, port, host, hostPort) = ("localhost", parts[0], "localhost", parts[1])
        case 3: (bind, port, host, hostPort) = ("localhost", parts[0], parts[1], parts[2])
        case 4: (bind, port, host, hostPort) = (parts[0], parts[1], parts[2], parts[3])
        default: throw malformed("it has \(parts.count) parts")
        }
        guard let ports = ForwardText.portRange(port) else { throw malformed("\(port) is not a port") }
        guard let hostPorts = ForwardText.portRange(hostPort), hostPorts.lowerBound > 0 else {
            throw malformed("\(hostPort) is not a port of the destination")
        }
        guard ports.count == hostPorts.count else {
            throw malformed("\(port) has \(ports.count) ports and \(hostPort) has \(hostPorts.count)")
        }
        guard ports.count == 1 || ports.lowerBound > 0 else { throw malformed("a range cannot begin with 0") }
        guard let address = listenAddress(bind) else { throw malformed("\(bind) is not an address of this machine") }
        var forwards: [ForwardSpec] = []
        for (port, hostPort) in zip(ports, hostPorts) {
            let place = host.contains(":") ? "[\(host)]:\(hostPort)" : "\(host):\(hostPort)"
            guard let destination = Destination(place), case .host = destination else {
                throw malformed("the destination's host is missing or malformed")
            }
            var forward = ForwardSpec(port: port, on: address, to: .destination(destination))
            forward.transport = transport
            forwards.append(forward)
        }
        return forwards
    }

    /// Reads a form with a path at either end.
    private init(withPath parts: [Substring], _ malformed: (String) -> Malformed) throws(Malformed) {
        func path(_ text: Substring) throws(Malformed) -> Destination {
            guard let destination = Destination(String(text)) else {
                throw malformed(
                    "a path has no empty parts, and no . or .., and at most \(Destination.longestPath) bytes"
                )
            }
            return destination
        }
        var rest = parts[...]
        var target: Target?
        if let last = rest.last, last.hasPrefix("/"), rest.count > 1 {
            target = .destination(try path(last))
            rest.removeLast()
        }
        if let first = rest.first, first.hasPrefix("/") {
            _ = try path(first)
            listen = .path(String(first))
            rest.removeFirst()
        } else {
            guard (1...2).contains(rest.count), let text = rest.last else {
                throw malformed("it has \(parts.count) parts")
            }
            guard let port = Port.parse(text) else { throw malformed("\(text) is not a port") }
            let bind = rest.count == 2 ? rest[rest.startIndex] : "localhost"
            guard let address = Self.listenAddress(bind) else {
                throw malformed("\(bind) is not an address of this machine")
            }
            listen = .port(port, on: address)
            rest = []
        }
        if target == nil {
            let place = rest.count == 1 ? "localhost:\(rest[rest.startIndex])" : Self.hostPort(rest)
            guard let destination = place.flatMap(Destination.init), case .host = destination else {
                throw malformed("the destination's host is missing or malformed")
            }
            target = .destination(destination)
            rest = []
        }
        guard rest.isEmpty, let target else { throw malformed("it has \(parts.count) parts") }
        self.target = target
    }

    private static func hostPort(_ parts: ArraySlice<Substring>) -> String? {
        guard parts.count == 2, let host = parts.first, let port = parts.last else { return nil }
        return host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }

    /// Reads one `-D`: `[BIND:]PORT`.
    ///
    /// - Throws: ``Malformed``, which names the wrong part.
    public static func socks(_ text: String) throws(Malformed) -> ForwardSpec {
        func malformed(_ why: String) -> Malformed {
            Malformed(description: "-D \(text): \(why); the form is [BIND:]PORT, for instance 1080")
        }
        guard let parts = ForwardText.parts(text) else { throw malformed("a bracket is not closed") }
        guard (1...2).contains(parts.count), let last = parts.last else {
            throw malformed("it has \(parts.count) parts")
        }
        guard let port = Port.parse(last) else { throw malformed("\(last) is not a port") }
        let bind = parts.count == 2 ? parts[0] : "localhost"
        guard let address = listenAddress(bind) else { throw malformed("\(bind) is not an address of this machine") }
        return ForwardSpec(port: port, on: address, to: .socks)
    }

    private static func listenAddress(_ text: Substring) -> String? {
        switch text {
        case "localhost": "localhost"
        case "", "*": "*"
        default: IPAddress(String(text))?.description
        }
    }

    /// Whether either end is a Unix socket.
    public var isAtPath: Bool {
        if case .path = listen { return true }
        if case .destination(.path) = target { return true }
        return false
    }

    /// The addresses to listen on, of which a machine may lack a family; none for a path.
    var addresses: [String] {
        switch listen {
        case .port(_, "localhost"): ["127.0.0.1", "::1"]
        case .port(_, "*"): ["0.0.0.0", "::"]
        case .port(_, let address): [address]
        case .path: []
        }
    }

    /// The place that is bound, for people and scripts.
    ///
    /// - Parameter port: the port; ignored for a path.
    func listening(_ port: UInt16) -> String {
        if case .path(let path) = listen { return "unix:\(path)" }
        let first = addresses.first ?? ""
        if transport == .udp { return "udp://" + (first.contains(":") ? "[\(first)]:\(port)" : "\(first):\(port)") }
        return first.contains(":") ? "[\(first)]:\(port)" : "\(first):\(port)"
    }

    /// The destination for people and scripts: `db.internal:5432`, or `socks`.
    public var service: String {
        switch target {
        case .destination(let destination): destination.description
        case .socks: "socks"
        }
    }

    /// The forward as it is written for `-L` or `-D`.
    public var description: String {
        let place =
            switch listen {
            case .port(let port, "localhost"): "\(port)"
            case .port(let port, let address): address.contains(":") ? "[\(address)]:\(port)" : "\(address):\(port)"
            case .path(let path): path
            }
        return switch target {
        case .destination(let destination): "\(place):\(destination)\(transport == .udp ? "/udp" : "")"
        case .socks: place
        }
    }
}
