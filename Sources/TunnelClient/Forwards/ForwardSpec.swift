import NetworkAddress
import TunnelCore

/// One forward, written as ssh's `-L` or `-D`: the client listens, and the server connects.
public struct ForwardSpec: Sendable, Hashable, CustomStringConvertible {
    /// Where the client listens.
    public let address: String
    /// The port, 0 for one that the system chooses.
    public let port: UInt16
    /// Where the connections lead.
    public let target: Target

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
        (self.address, self.port, self.target) = (address, port, target)
    }

    /// Reads one `-L`: `[BIND:]PORT:HOST:HOSTPORT`, or `[BIND:]PORT:HOSTPORT` for the server's own `localhost`, or a range
    /// of ports, of which each is a forward.
    ///
    /// - Throws: ``Malformed``, which names the wrong part.
    public static func list(_ text: String) throws(Malformed) -> [ForwardSpec] {
        func malformed(_ why: String) -> Malformed {
            Malformed(
                description:
                    "-L \(text): \(why); the form is [BIND:]PORT:HOST:HOSTPORT, for instance 5432:db.internal:5432"
            )
        }
        guard let parts = ForwardText.parts(text) else { throw malformed("a bracket is not closed") }
        if let path = parts.last, path.hasPrefix("/") {
            return [try ForwardSpec(text, parts.dropLast(), path: String(path), malformed)]
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
            forwards.append(ForwardSpec(port: port, on: address, to: .destination(destination)))
        }
        return forwards
    }

    /// Reads `[BIND:]PORT:/SOCKET`.
    private init(
        _ text: String,
        _ listen: some Collection<Substring>,
        path: String,
        _ malformed: (String) -> Malformed
    ) throws(Malformed) {
        let listen = Array(listen)
        guard (1...2).contains(listen.count) else { throw malformed("it has \(listen.count + 1) parts") }
        guard let port = Port.parse(listen[listen.count - 1]) else {
            throw malformed("\(listen[listen.count - 1]) is not a port")
        }
        guard let address = Self.listenAddress(listen.count == 2 ? listen[0] : "localhost") else {
            throw malformed("\(listen[0]) is not an address of this machine")
        }
        guard let destination = Destination(path) else {
            throw malformed("a path has no empty parts, and no . or .., and at most \(Destination.longestPath) bytes")
        }
        self.init(port: port, on: address, to: .destination(destination))
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

    /// The addresses to listen on, of which a machine may lack a family.
    var addresses: [String] {
        switch address {
        case "localhost": ["127.0.0.1", "::1"]
        case "*": ["0.0.0.0", "::"]
        default: [address]
        }
    }

    /// The first address with the bound port, for people and scripts.
    func listening(_ port: UInt16) -> String {
        let first = addresses.first ?? ""
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
        let bind = address == "localhost" ? "" : address.contains(":") ? "[\(address)]:" : "\(address):"
        return switch target {
        case .destination(let destination): "\(bind)\(port):\(destination)"
        case .socks: "\(bind)\(port)"
        }
    }
}
