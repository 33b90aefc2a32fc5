import Mux
import NIOSSL
import Tunnel

/// A client's configuration file.
struct ClientFile {
    static let keys: Set<String> = [
        "url", "token", "token_file", "name", "instance", "proxy", "proxy_auth", "proxy_user", "proxy_password_file",
        "proxy_certificate", "proxy_key", "netrc", "tls_certificate", "tls_key",
        "proxy_header", "ca", "ca_only", "header", "user_agent",
        "tls_groups", "tls_max_version", "connect_to", "encryption", "server_key",
        "max_retries", "exit_on_refusal", "max_carrier_age", "carriers", "carriers_over", "servers", "busy_polling",
        "compress", "compress_shared", "admin",
        "tunnel", "forward", "socks", "allow_open", "exit_on_forward_failure", "limits",
    ]

    let url: [String]
    let token: String?
    let tokenFile: String?
    let name: String?
    let instance: String?
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
    let encryption: EncryptionPolicy?
    let serverKeys: [ServerPublicKey]
    let proxyHeader: [String]
    let ca: [String]
    let caOnly: Bool?
    let header: [String]
    let userAgent: String?
    let maxRetries: Int?
    let exitOnRefusal: Bool?
    let maxCarrierAge: Duration?
    let carriers: CarrierCount?
    let carriersOver: CarrierSpread?
    let servers: Int?
    let busyPolling: Bool?
    let compress: Bool?
    let compressShared: Bool?
    let tunnels: [TunnelSpec]
    /// Whether the file has a `[[tunnel]]`, with or without mistakes.
    let hasTunnels: Bool
    let forwards: [ForwardSpec]
    /// Whether the file has a `[[forward]]` or `socks`, with or without mistakes.
    let hasForwards: Bool
    let exitOnForwardFailure: Bool?
    let allowOpen: [DestinationRule]

    init(_ file: ConfigurationFile) {
        file.allow(Self.keys, others: ServerFile.keys.subtracting(Self.keys), of: "a server's configuration")
        url = file.strings("url") ?? []
        for (number, text) in url.enumerated() {
            do throws(EndpointURL.Malformed) {
                _ = try EndpointURL(text)
            } catch {
                file.report("url", element: url.count > 1 ? number : nil, error.description)
            }
        }
        token = file.string("token")
        tokenFile = file.string("token_file")
        name = file.string("name")
        instance = file.string("instance")
        proxy = file.strings("proxy") ?? []
        proxyAuth = file.string("proxy_auth")
        proxyUser = file.string("proxy_user")
        proxyPasswordFile = file.string("proxy_password_file")
        proxyCertificate = file.string("proxy_certificate")
        proxyKey = file.string("proxy_key")
        netrc = file.boolean("netrc")
        tlsCertificate = file.string("tls_certificate")
        tlsKey = file.string("tls_key")
        tlsGroups = Self.value("tls_groups", file, file.strings("tls_groups")?.joined(separator: ",")) {
            text throws(Failure) in
            try TLSOptions.groups(text) { Failure(.configuration, $0) }
        }
        tlsMaximum = Self.value("tls_max_version", file, file.string("tls_max_version")) { text throws(Failure) in
            try TLSOptions.version(text) { Failure(.configuration, $0) }
        }
        connectTo = Self.value("connect_to", file, file.string("connect_to")) { text throws(Failure) in
            try TLSOptions.address(text) { Failure(.configuration, $0) }
        }
        encryption = Self.value("encryption", file, file.string("encryption")) { text throws(Failure) in
            try EncryptionOptions.policy(text) { Failure(.configuration, $0) }
        }
        serverKeys = Self.serverKeys(file)
        proxyHeader = file.strings("proxy_header") ?? []
        ca = file.strings("ca") ?? []
        caOnly = file.boolean("ca_only")
        header = file.strings("header") ?? []
        userAgent = file.string("user_agent")
        busyPolling = file.boolean("busy_polling")
        compress = file.boolean("compress")
        compressShared = file.boolean("compress_shared")
        exitOnRefusal = file.boolean("exit_on_refusal")
        maxRetries = file.integer("max_retries")
        if let maxRetries, maxRetries < 0 { file.report("max_retries", "cannot be negative") }
        maxCarrierAge = Self.carrierAge(file)
        carriers = Self.value("carriers", file, file.text("carriers")) { text throws(Failure) in
            try CarrierOptions.count(text) { Failure(.configuration, $0) }
        }
        carriersOver = Self.value("carriers_over", file, file.string("carriers_over")) { text throws(Failure) in
            try CarrierOptions.spread(text) { Failure(.configuration, $0) }
        }
        servers = Self.servers(file)
        hasTunnels = file.has("tunnel")
        tunnels = Self.tunnels(file)
        hasForwards = file.has("forward") || file.has("socks")
        forwards = Self.forwards(file)
        exitOnForwardFailure = file.boolean("exit_on_forward_failure")
        allowOpen = file.destinations("allow_open")
    }

    /// The forwards. `local = "5432"` and `remote = "db.internal:5432"` are the halves of `-L`; `socks` has the ports of
    /// `-D`.
    private static func forwards(_ file: ConfigurationFile) -> [ForwardSpec] {
        var forwards: [ForwardSpec] = []
        for table in file.tables("forward") {
            table.allow(forwardKeys)
            guard let local = table.required("local"), let remote = table.required("remote") else {
                _ = table.required("remote")
                continue
            }
            do throws(ForwardSpec.Malformed) {
                var range = try ForwardSpec.list("\(local):\(remote)")
                if let transport = transport(table) {
                    for index in range.indices { range[index].transport = transport }
                    let hasPath = range.contains { $0.isAtPath }
                    if transport == .udp, hasPath { table.report("protocol", "a Unix socket carries no UDP") }
                }
                add(range, to: &forwards) { table.report("local", $0) }
            } catch {
                table.report("local", error.description)
            }
        }
        let ports = file.strings("socks") ?? []
        for (number, text) in ports.enumerated() {
            let element = ports.count > 1 ? number : nil
            do throws(ForwardSpec.Malformed) {
                add([try ForwardSpec.socks(text)], to: &forwards) { file.report("socks", element: element, $0) }
            } catch {
                file.report("socks", element: element, error.description)
            }
        }
        return forwards
    }

    /// Adds forwards, unless one of them needs the place of another one.
    private static func add(_ more: [ForwardSpec], to forwards: inout [ForwardSpec], _ report: (String) -> Void) {
        if let collision = ForwardCollision(in: forwards + more) { return report(collision.description) }
        forwards += more
    }

    /// The parsed value of a key; nil if the key is missing, or malformed, which is reported.
    private static func value<Value>(
        _ key: String,
        _ file: ConfigurationFile,
        _ text: String?,
        _ parse: (String) throws(Failure) -> Value
    ) -> Value? {
        guard let text else { return nil }
        do throws(Failure) {
            return try parse(text)
        } catch {
            return file.wrong(key, error.description)
        }
    }

    /// The keys of servers; those with a mistake are reported, and left out.
    private static func serverKeys(_ file: ConfigurationFile) -> [ServerPublicKey] {
        let texts = file.strings("server_key") ?? []
        var keys: [ServerPublicKey] = []
        for (number, text) in texts.enumerated() {
            do throws(Failure) {
                keys.append(try EncryptionOptions.key(text) { Failure(.configuration, $0) })
            } catch {
                file.report("server_key", element: texts.count > 1 ? number : nil, error.description)
            }
        }
        return keys
    }

    private static func servers(_ file: ConfigurationFile) -> Int? {
        let counts = ClientConfiguration.serverCounts
        guard let count = file.integer("servers") else { return nil }
        guard counts.contains(count) else {
            return file.wrong("servers", "expected a number from \(counts.lowerBound) to \(counts.upperBound)")
        }
        return count
    }

    private static func carrierAge(_ file: ConfigurationFile) -> Duration? {
        let key = "max_carrier_age"
        guard file.has(key) else { return nil }
        guard let age = file.duration(key), ClientOptions.carrierAges.contains(age) else {
            let problem = "expected a time from \"1 s\" to \"24 h\", for instance \"55 min\""
            return file.wrong(key, file.advised(problem, key, .time))
        }
        return age
    }

    /// Whether the file has the token or a proxy's password.
    var holdsSecret: Bool {
        let names = proxy.contains { text in
            guard case .choice(.proxy(let url)) = try? ProxySource(text) else { return false }
            return url.namesPassword
        }
        // `:` alone means a Kerberos ticket.
        let password = proxyUser?.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).dropFirst()
            .first
        return token != nil || names || password?.isEmpty == false
    }

    static let forwardKeys: Set<String> = ["local", "remote", "protocol"]
    static let tunnelKeys: Set<String> = TunnelNameKeys.keys.union([
        "remote", "local", "protocol", "proxy_protocol", "visitor_connections", "visitor_rate", "visitor_allow",
        "visitor_deny",
        "visitor_idle", "visitor_bandwidth",
    ])

    /// The tunnels. `remote = "8022"` and `local = "localhost:22"` are the halves of `-R`, and `local = "socks"` stands for
    /// `-R PORT` alone; `protocol = "udp"` for its suffix; visitors' limits may follow.
    private static func tunnels(_ file: ConfigurationFile) -> [TunnelSpec] {
        var tunnels: [TunnelSpec] = []
        for table in file.tables("tunnel") {
            table.allow(tunnelKeys)
            let isName = TunnelNameKeys.isName(table)
            guard let range = isName ? TunnelNameKeys.tunnel(table).map({ [$0] }) : range(table) else { continue }
            if let other = TunnelSpec.collision(range, tunnels) {
                let place = other.name != nil ? "name" : other.isAtPath ? "socket" : "port"
                table.report(isName ? "name" : "remote", "the same public \(place) as that of \(other)")
            }
            guard var model = range.first else { continue }
            narrow(&model, table)
            TunnelNameKeys.share(table, &model)
            tunnels += range.map { forward in
                var forward = forward
                (forward.visitors, forward.proxyProtocol) = (model.visitors, model.proxyProtocol)
                (forward.group, forward.health) = (model.group, model.health)
                return forward
            }
        }
        return tunnels
    }

    /// The tunnels of a table at ports or at a Unix socket; nil if it has a mistake.
    private static func range(_ table: ConfigurationFile) -> [TunnelSpec]? {
        for key in ["name", "path", "host_header", "set_headers", "basic_auth_file"] where table.has(key) {
            table.report(key, "it is for a tunnel with protocol = \"http\" or \"tls\"")
        }
        guard let remote = table.required("remote"), let local = table.required("local") else {
            _ = table.required("local")
            return nil
        }
        do throws(TunnelSpec.Malformed) {
            return try specs(table, remote, local)
        } catch {
            return table.wrong("remote", error.description)
        }
    }

    /// The tunnels of one table.
    private static func specs(
        _ table: ConfigurationFile,
        _ remote: String,
        _ local: String
    ) throws(TunnelSpec.Malformed) -> [TunnelSpec] {
        var range = try TunnelSpec.list(local == "socks" ? remote : "\(remote):\(local)")
        guard let transport = transport(table) else { return range }
        for index in range.indices { range[index].transport = transport }
        if transport == .udp, let first = range.first {
            switch first.target {
            case .unix: table.report("protocol", "a Unix socket carries no UDP")
            case .socks: table.report("protocol", "a public SOCKS port carries no UDP")
            case .address where first.isAtPath: table.report("protocol", "a Unix socket carries no UDP")
            case .address, .inProcess: break
            }
        }
        return range
    }

    /// `protocol`; nil if it is left to the form, which has `/udp`.
    private static func transport(_ table: ConfigurationFile) -> StreamTransport? {
        guard let text = table.string("protocol") else { return nil }
        return StreamTransport(rawValue: text)
            ?? table.wrong("protocol", "expected \"tcp\", \"udp\", \"http\" or \"tls\"")
    }

    private static func narrow(_ forward: inout TunnelSpec, _ table: ConfigurationFile) {
        forward.visitors.connections = count(table, "visitor_connections")
        forward.visitors.connectionsPerSecond = count(table, "visitor_rate")
        forward.visitors.allow = list(table, "visitor_allow")
        forward.visitors.deny = list(table, "visitor_deny")
        forward.visitors.idleSeconds = table.seconds("visitor_idle").map { UInt32(clamping: $0) }
        forward.visitors.bandwidth = table.bytesPerSecond("visitor_bandwidth").map { UInt64(clamping: $0) }
        if let text = table.string("proxy_protocol") {
            guard let version = ProxyProtocolVersion(rawValue: text) else {
                return table.report("proxy_protocol", "expected \"v1\" or \"v2\"")
            }
            guard forward.transport == .tcp else {
                return table.report("proxy_protocol", "a UDP service receives no PROXY protocol header")
            }
            forward.proxyProtocol = version
        }
    }

    private static func count(_ table: ConfigurationFile, _ key: String) -> UInt32? {
        guard let number = table.count(key) else { return nil }
        return UInt32(exactly: number) ?? table.wrong(key, "expected a number above 0, and no more than \(UInt32.max)")
    }

    private static func list(_ table: ConfigurationFile, _ key: String) -> String {
        let list = table.blocks(key).map(\.description).joined(separator: ",")
        if list.utf8.count > RequestedVisitorLimits.maximumList {
            table.report(key, "too long: at most \(RequestedVisitorLimits.maximumList) characters")
        }
        return list
    }
}
