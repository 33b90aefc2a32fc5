import Mux
import NIOSSL
import Tunnel

/// A client's configuration file.
struct ClientFile {
    private static let keys: Set<String> = [
        "url", "token", "token_file", "name", "proxy", "proxy_auth", "proxy_user", "proxy_password_file",
        "proxy_certificate", "proxy_key", "netrc", "tls_certificate", "tls_key",
        "proxy_header", "ca", "ca_only", "header", "user_agent",
        "tls_groups", "tls_max_version", "connect_to",
        "max_retries", "max_carrier_age", "busy_polling", "compress", "compress_shared", "admin",
        "tunnel", "limits",
    ]

    let url: [String]
    let token: String?
    let tokenFile: String?
    let name: String?
    let proxy: [String]
    let proxyAuth: String?
    let proxyUser: String?
    let proxyPasswordFile: String?
    let proxyCertificate: String?
    let proxyKey: String?
    let netrc: Bool?
    let tlsCertificate: String?
    let tlsKey: String?
    let tlsGroups: TLSGroups?
    let tlsMaximum: TLSVersion?
    let connectTo: ConnectAddress?
    let proxyHeader: [String]
    let ca: [String]
    let caOnly: Bool
    let header: [String]
    let userAgent: String?
    let maxRetries: Int?
    let maxCarrierAge: Duration?
    let busyPolling: Bool?
    let compress: Bool?
    let compressShared: Bool?
    let admin: String?
    let forwards: [RemoteForward]

    init(_ file: ConfigurationFile) throws(Failure) {
        try file.allow(Self.keys)
        url = try file.strings("url") ?? []
        for text in url {
            do throws(EndpointURL.Malformed) {
                _ = try EndpointURL(text)
            } catch {
                throw file.failure("url", error.description)
            }
        }
        token = try file.string("token")
        tokenFile = try file.string("token_file")
        name = try file.string("name")
        proxy = try file.strings("proxy") ?? []
        proxyAuth = try file.string("proxy_auth")
        proxyUser = try file.string("proxy_user")
        proxyPasswordFile = try file.string("proxy_password_file")
        proxyCertificate = try file.string("proxy_certificate")
        proxyKey = try file.string("proxy_key")
        netrc = try file.boolean("netrc")
        tlsCertificate = try file.string("tls_certificate")
        tlsKey = try file.string("tls_key")
        let groups = try file.strings("tls_groups")
        tlsGroups = try groups.map { groups throws(Failure) in
            try TLSOptions.groups(groups.joined(separator: ",")) { file.failure("tls_groups", $0) }
        }
        tlsMaximum = try file.string("tls_max_version").map { text throws(Failure) in
            try TLSOptions.version(text) { file.failure("tls_max_version", $0) }
        }
        connectTo = try file.string("connect_to").map { text throws(Failure) in
            try TLSOptions.address(text) { file.failure("connect_to", $0) }
        }
        proxyHeader = try file.strings("proxy_header") ?? []
        ca = try file.strings("ca") ?? []
        caOnly = try file.boolean("ca_only") ?? false
        header = try file.strings("header") ?? []
        userAgent = try file.string("user_agent")
        busyPolling = try file.boolean("busy_polling")
        compress = try file.boolean("compress")
        compressShared = try file.boolean("compress_shared")
        admin = try file.string("admin")
        if let admin { _ = try AdminOption.address(admin) { file.failure("admin", $0) } }
        maxRetries = try file.integer("max_retries")
        if let maxRetries, maxRetries < 0 { throw file.failure("max_retries", "cannot be negative") }
        if file.has("max_carrier_age") {
            guard let age = file.duration("max_carrier_age"), ClientCommand.carrierAges.contains(age) else {
                throw file.failure(
                    "max_carrier_age",
                    "expected a time from \"1 s\" to \"24 h\", for instance \"55 min\""
                )
            }
            maxCarrierAge = age
        } else {
            maxCarrierAge = nil
        }
        forwards = try Self.forwards(file)
    }

    /// Whether the token or a proxy's password stands in it.
    var holdsSecret: Bool {
        let names = proxy.contains { text in
            guard case .choice(.proxy(let url)) = try? ProxyArgument(text) else { return false }
            return url.namesPassword
        }
        // `:` alone stands for a ticket.
        let password = proxyUser?.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).dropFirst()
            .first
        return token != nil || names || password?.isEmpty == false
    }

    private static let tunnelKeys: Set<String> = [
        "remote", "local", "proxy_protocol", "visitor_connections", "visitor_rate", "visitor_allow", "visitor_deny",
        "visitor_idle", "visitor_bandwidth",
    ]

    /// `[[tunnel]] remote = "8022" local = "localhost:22"`: the two halves of `-R`, and what its visitors are held to.
    private static func forwards(_ file: ConfigurationFile) throws(Failure) -> [RemoteForward] {
        var forwards: [RemoteForward] = []
        for table in try file.tables("tunnel") {
            try table.allow(tunnelKeys)
            guard let remote = try table.string("remote") else { throw table.failure("remote", "missing") }
            guard let local = try table.string("local") else { throw table.failure("local", "missing") }
            var forward: RemoteForward
            do throws(RemoteForward.Malformed) {
                forward = try RemoteForward("\(remote):\(local)")
            } catch {
                throw table.failure("remote", error.description)
            }
            try narrow(&forward, table)
            forwards.append(forward)
        }
        return forwards
    }

    private static func narrow(_ forward: inout RemoteForward, _ table: ConfigurationFile) throws(Failure) {
        forward.visitors.connections = try count(table, "visitor_connections")
        forward.visitors.connectionsPerSecond = try count(table, "visitor_rate")
        forward.visitors.allow = try list(table, "visitor_allow")
        forward.visitors.deny = try list(table, "visitor_deny")
        forward.visitors.idleSeconds = try table.seconds("visitor_idle").map { UInt32(clamping: $0) }
        forward.visitors.bandwidth = try table.bytesPerSecond("visitor_bandwidth").map { UInt64(clamping: $0) }
        if let text = try table.string("proxy_protocol") {
            guard let version = ProxyProtocolVersion(rawValue: text) else {
                throw table.failure("proxy_protocol", "expected \"v1\" or \"v2\"")
            }
            forward.proxyProtocol = version
        }
    }

    private static func count(_ table: ConfigurationFile, _ key: String) throws(Failure) -> UInt32? {
        guard let number = try table.integer(key) else { return nil }
        guard let count = UInt32(exactly: number), count > 0 else {
            throw table.failure(key, "expected a number above 0")
        }
        return count
    }

    private static func list(_ table: ConfigurationFile, _ key: String) throws(Failure) -> String {
        let list = try table.blocks(key).map(\.description).joined(separator: ",")
        guard list.utf8.count <= VisitorTerms.maximumList else {
            throw table.failure(key, "too long: at most \(VisitorTerms.maximumList) characters")
        }
        return list
    }
}
