import Mux
import ProxyConnect
import Tunnel

/// A server's configuration file.
enum ServerFile {
    private static let keys: Set<String> = Set([
        "listen", "path", "public_address", "allow_ports", "tls_certificate", "tls_key", "tls_client_ca", "backend",
        "allow_origin", "token_file",
        "busy_polling", "compress_shared", "trusted_front", "admin",
        "public_proxy_protocol", "client", "limits",
    ]).union(visitorKeys)
    private static let visitorKeys: Set<String> = [
        "visitor_connections", "visitor_rate", "visitor_allow", "visitor_deny", "visitor_idle", "visitor_bandwidth",
    ]
    private static let clientKeys: Set<String> = Set([
        "name", "verifier", "allow_ports", "allow_addresses", "tunnels", "streams", "bandwidth", "expires", "enabled",
    ]).union(visitorKeys)

    static func apply(_ file: ConfigurationFile, to result: inout ServerConfiguration) throws(Failure) {
        try file.allow(keys)
        if let listen = try file.strings("listen") {
            result.listen = try ServerCommand.addresses(listen) { file.failure("listen", $0) }
        }
        if let path = try file.string("path") { result.path = path }
        if let address = try file.string("public_address") { result.publicAddress = address }
        if let ranges = try ports(file, "allow_ports") { result.allowedPorts = ranges }
        if let admin = try file.string("admin") {
            result.admin = try AdminOption.address(admin) { file.failure("admin", $0) }
        }
        result.pollsBusily = try file.boolean("busy_polling") ?? true
        result.sharesCompression = try file.boolean("compress_shared") ?? false
        if let origins = try file.strings("allow_origin") { result.allowedOrigins = origins }
        if let text = try file.string("backend") {
            guard let backend = Backend(text) else { throw file.failure("backend", "expected http://HOST:PORT") }
            result.backend = backend
        }
        if let fronts = try file.strings("trusted_front") {
            result.trustedFronts = try ServerCommand.fronts(fronts) { file.failure("trusted_front", $0) }
        }
        result.hasFrontsOnPublicPorts = try file.boolean("public_proxy_protocol") ?? false
        result.visitors = try visitors(file) ?? VisitorLimits()
        try LimitKeys.apply(file, to: &result)
        for table in try file.tables("client") {
            let client = try client(table)
            if let other = result.clients.first(where: { $0.verifier.id == client.verifier.id }) {
                throw table.failure("verifier", "the same token as that of \(other.name)")
            }
            result.clients.append(client)
        }
    }

    private static func client(_ table: ConfigurationFile) throws(Failure) -> ClientRights {
        try table.allow(clientKeys)
        guard let name = try table.string("name") else { throw table.failure("name", "missing") }
        guard let line = try table.string("verifier") else { throw table.failure("verifier", "missing") }
        guard let verifier = Verifier(line: line) else {
            throw table.failure("verifier", "expected the verifier line that `culvert token` prints")
        }
        var client = ClientRights(name: name, verifier: verifier, allowedPorts: try ports(table, "allow_ports"))
        if let addresses = try table.strings("allow_addresses") {
            for address in addresses where IPAddress(address) == nil {
                throw table.failure("allow_addresses", "expected IP addresses")
            }
            client.allowedAddresses = addresses
        }
        client.maximumTunnels = try count(table, "tunnels")
        client.maximumStreams = try count(table, "streams")
        client.bandwidth = try table.bytesPerSecond("bandwidth")
        client.visitors = try visitors(table)
        client.expires = try table.date("expires")
        client.isEnabled = try table.boolean("enabled") ?? true
        return client
    }

    /// The limits of visitors in a table; nil where none of their keys is there.
    private static func visitors(_ table: ConfigurationFile) throws(Failure) -> VisitorLimits? {
        guard visitorKeys.contains(where: table.has) else { return nil }
        var limits = VisitorLimits()
        limits.connections = try count(table, "visitor_connections")
        limits.connectionsPerSecond = try count(table, "visitor_rate")
        limits.allow = try table.blocks("visitor_allow")
        limits.deny = try table.blocks("visitor_deny")
        limits.idleSeconds = try table.seconds("visitor_idle")
        limits.bandwidth = try table.bytesPerSecond("visitor_bandwidth")
        return limits
    }

    private static func count(_ table: ConfigurationFile, _ key: String) throws(Failure) -> Int? {
        guard let number = try table.integer(key) else { return nil }
        guard number > 0 else { throw table.failure(key, "expected a number above 0") }
        return number
    }

    private static func ports(_ file: ConfigurationFile, _ key: String) throws(Failure) -> PortRanges? {
        guard let text = try file.string(key) else { return nil }
        guard let ranges = PortRanges(text) else {
            throw file.failure(key, "expected ports such as 1024-65535 or 8000-8099,9000")
        }
        return ranges
    }
}
