import Mux
import NetworkAddress
import TunnelCore

/// Decides which addresses and ports, or which Unix sockets, a client's BIND may have. It binds nothing and asks no resolver.
struct BindPolicy: Sendable {
    /// The addresses of a port that the client does not narrow.
    let publicAddresses: [String]
    /// The ports that this client may have: its own ones that the server allows.
    let allowedPorts: PortRanges
    /// The addresses that this client may have; nil for all of the server's.
    let clientAddresses: [String]?
    /// Whether this client may have ports on loopback.
    let allowsLoopback: Bool
    /// The folder for this client's Unix sockets; nil for none.
    let unixDirectory: String?

    init(
        publicAddresses: [String],
        serverPorts: PortRanges,
        clientPorts: PortRanges?,
        clientAddresses: [String]? = nil,
        allowsLoopback: Bool = false,
        unixDirectory: String? = nil
    ) {
        self.publicAddresses = publicAddresses
        self.allowedPorts = clientPorts.map { serverPorts.intersection($0) } ?? serverPorts
        self.clientAddresses = clientAddresses
        self.allowsLoopback = allowsLoopback
        self.unixDirectory = unixDirectory
    }

    /// The addresses on which a request is bound, or its path. A client may narrow the server's addresses and never widen them.
    ///
    /// - Throws: the refusal that is sent to the client.
    func addresses(for request: BindRequest) throws(Refusal) -> [String] {
        if request.isForPath { return [try path(for: request)] }
        guard request.port == 0 || allowedPorts.contains(request.port) else {
            throw Refusal(.portNotAllowed, "port \(request.port) is not allowed here; allowed: \(allowedPorts)")
        }
        return try withoutLoopback(permitted(narrowed(request)))
    }

    /// The path of a Unix socket, directly in the client's folder: a folder in it might lead elsewhere.
    private func path(for request: BindRequest) throws(Refusal) -> String {
        guard let unixDirectory else {
            throw Refusal(.portNotAllowed, "the server has no unix_directory for this client's sockets")
        }
        guard request.kind == .tcp, request.port == 0 else {
            throw Refusal(.portNotAllowed, "a Unix socket carries no datagrams, and has no port")
        }
        let folder = unixDirectory.hasSuffix("/") ? unixDirectory : unixDirectory + "/"
        guard case .path(let path)? = Destination(request.address), path.hasPrefix(folder),
            !path.dropFirst(folder.count).contains("/")
        else {
            throw Refusal(.portNotAllowed, "\(request.address) is not allowed here; allowed: \(folder)NAME")
        }
        return path
    }

    /// Those of the addresses that the client may have.
    private func permitted(_ addresses: [String]) throws(Refusal) -> [String] {
        guard let clientAddresses else { return addresses }
        // A request for all addresses gets the ones that the client may have.
        let isForAll = addresses.contains("0.0.0.0")
        let permitted = isForAll ? clientAddresses : addresses.filter(clientAddresses.contains)
        guard !permitted.isEmpty else {
            let own = clientAddresses.joined(separator: " and ")
            throw Refusal(.portNotAllowed, "this client may have ports on \(own) only")
        }
        return permitted
    }

    /// The addresses without loopback, unless the client may have it. Programs on the server trust ports on loopback.
    private func withoutLoopback(_ addresses: [String]) throws(Refusal) -> [String] {
        guard !allowsLoopback else { return addresses }
        let others = addresses.filter { IPAddress($0)?.isLoopback != true }
        guard !others.isEmpty else {
            throw Refusal(
                .portNotAllowed,
                "ports on the server's loopback want allow_loopback = true in the client's entry there"
            )
        }
        return others
    }

    /// The server's addresses as the request narrows them.
    private func narrowed(_ request: BindRequest) throws(Refusal) -> [String] {
        let isForAll = publicAddresses.contains("0.0.0.0")
        switch request.address {
        case "", "*":
            return publicAddresses
        case "localhost" where isForAll || publicAddresses.contains("127.0.0.1"):
            return ["127.0.0.1", "::1"]
        default:
            guard let address = IPAddress(request.address), address.isOfOneHost else {
                throw Refusal(.portNotAllowed, "\(request.address) is not an address to bind; give an IP address")
            }
            guard isForAll || publicAddresses.contains(address.description) else {
                let own = publicAddresses.joined(separator: " and ")
                throw Refusal(.portNotAllowed, "public ports are bound on \(own) here, not on \(address)")
            }
            return [address.description]
        }
    }
}

extension IPAddress {
    /// Whether the address is neither multicast nor broadcast.
    fileprivate var isOfOneHost: Bool {
        switch self {
        case .v4(let bits): bits >> 28 != 0xE && bits != .max
        case .v6(let bits): bits >> 120 != 0xFF
        }
    }
}
