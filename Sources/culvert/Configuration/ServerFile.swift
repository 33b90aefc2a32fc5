import HTTPRelay
import Mux
import NetworkAddress
import Platform
import ProxyConnect
import Tunnel

/// A server's configuration file.
enum ServerFile {
    static let keys: Set<String> = Set([
        "listen", "listen_mode", "listen_group", "unix_directory", "unix_mode", "unix_group", "path", "public_address",
        "allow_ports", "allow_connect",
        "tls_certificate", "tls_key",
        "tls_client_ca", "key_file", "encryption", "backend", "http_listen", "https_listen", "http_domain",
        "allow_names", "redirect_https",
        "endpoint_host", "certificate", "acme", "cluster",
        "allow_origin", "token_file",
        "busy_polling", "compress_shared", "trusted_front", "admin", "metrics_by_client",
        "public_proxy_protocol", "client", "limits",
    ]).union(visitorKeys)
    private static let visitorKeys: Set<String> = [
        "visitor_connections", "visitor_rate", "visitor_allow", "visitor_deny", "visitor_idle", "visitor_bandwidth",
    ]
    static let acmeKeys: Set<String> = ["directory", "email", "ca", "storage"]
    static let clientKeys: Set<String> = Set([
        "name", "verifier", "allow_ports", "allow_connect", "allow_names", "unix_directory", "allow_addresses",
        "allow_loopback",
        "tunnels", "streams",
        "bandwidth",
        "expires", "enabled",
    ]).union(visitorKeys)

    /// - Parameter standardSocket: the path of the standard admin socket; nil if there is no folder for it.
    static func apply(
        _ file: ConfigurationFile,
        standardSocket: String?,
        to result: inout ServerConfiguration
    ) {
        file.allow(keys, others: ClientFile.keys.subtracting(keys), of: "a client's configuration")
        if let listen = file.addresses("listen") { result.listen = listen }
        if let path = file.string("path") { result.path = path }
        if let address = file.string("public_address") { result.publicAddress = address }
        if let ranges = ports(file, "allow_ports") { result.allowedPorts = ranges }
        result.destinations = file.destinations("allow_connect")
        applyNames(file, to: &result)
        result.unixDirectory = folder(file)
        result.admin = file.adminPlaces(standardSocket: standardSocket)
        result.labelsMetricsByClient = file.boolean("metrics_by_client") ?? false
        result.pollsBusily = file.boolean("busy_polling") ?? false
        result.sharesCompression = file.boolean("compress_shared") ?? false
        if let origins = file.strings("allow_origin") { result.allowedOrigins = origins }
        if let text = file.string("backend") {
            result.backend = Backend(text)
            if result.backend == nil { file.report("backend", "expected http://HOST:PORT") }
        }
        if let fronts = file.strings("trusted_front") {
            let fronts = file.problems.attempt(file, "trusted_front") { () throws(Failure) in
                try ServerSettings.fronts(fronts) { Failure(.configuration, $0) }
            }
            if let fronts { result.trustedFronts = fronts }
        }
        result.hasFrontsOnPublicPorts = file.boolean("public_proxy_protocol") ?? false
        result.visitors = visitors(file) ?? VisitorLimits()
        result.cluster = ClusterTable.read(file)
        LimitReader.apply(file, to: &result)
        for table in file.tables("client") {
            guard let client = client(table) else { continue }
            let ids = Set(client.verifiers.map(\.id))
            if let other = result.clients.first(where: { $0.verifiers.contains { ids.contains($0.id) } }) {
                table.report("verifier", "the same token as that of \(other.name)")
            }
            if let tunnels = client.maximumTunnels, tunnels > result.limits.tunnels {
                table.warn("tunnels", "a session has at most \(result.limits.tunnels), by tunnels in [limits]")
            }
            result.clients.append(client)
        }
    }

    /// The addresses, names and certificates of the router.
    private static func applyNames(_ file: ConfigurationFile, to result: inout ServerConfiguration) {
        result.names = file.names("allow_names")
        if let addresses = file.addresses("http_listen") { result.httpListen = addresses }
        if let addresses = file.addresses("https_listen") { result.httpsListen = addresses }
        result.httpDomain = name(file, "http_domain")
        result.endpointHost = name(file, "endpoint_host")
        result.acme = acme(file)
        result.redirectsToHTTPS = file.boolean("redirect_https") ?? false
        for table in file.tables("certificate") {
            table.allow(["certificate", "key"])
            guard let certificate = table.required("certificate"), let key = table.required("key") else { continue }
            let tls = file.problems.attempt(table, "certificate", "key") { () throws(Failure) in
                try TLSFiles.server(certificate: certificate, key: key, clientAuthority: nil)
            }
            if let tls = tls?.0 { result.certificates.append(tls) }
        }
    }

    /// Warns of keys that have no effect without an address for names, which a flag may give too.
    static func warnOfNames(_ file: ConfigurationFile, _ result: ServerConfiguration) {
        if result.httpListen.isEmpty, result.httpsListen.isEmpty {
            for key in ["http_domain", "allow_names", "redirect_https", "endpoint_host", "certificate"]
            where file.has(key) {
                file.warn(key, "it has no effect without http_listen or https_listen")
            }
        }
        if result.httpsListen.isEmpty, file.has("acme") {
            file.warn("acme", "it has no effect without https_listen")
        }
        if !result.httpsListen.isEmpty, result.certificates.isEmpty, result.acme == nil {
            file.warn("https_listen", "without [[certificate]] or [acme] it serves tls: names only")
        }
    }

    /// The table `[acme]`; nil if there is none, or if it has a mistake.
    private static func acme(_ file: ConfigurationFile) -> ACMEConfiguration? {
        guard let table = file.table("acme") else { return nil }
        table.allow(acmeKeys)
        let state = StateFolder.ofThisProcess.ofUnit.map { "\($0)/acme" }
        guard let storage = table.string("storage") ?? state else {
            return table.wrong("storage", "it is missing: the folder for certificates and their keys")
        }
        var acme = ACMEConfiguration(storage: storage)
        if let directory = table.string("directory") { acme.directory = directory }
        acme.email = table.string("email")
        if let ca = table.string("ca") {
            acme.authorities =
                table.problems.attempt(table, "ca") { () throws(Failure) in
                    try TLSFiles.authorities(ca)
                } ?? []
        }
        return acme
    }

    private static func name(_ file: ConfigurationFile, _ key: String) -> PublicName? {
        guard let text = file.string(key) else { return nil }
        return PublicName(text) ?? file.wrong(key, "expected a host name, for instance example.com")
    }

    private static func client(_ table: ConfigurationFile) -> ClientRights? {
        table.allow(clientKeys)
        let name = table.required("name")
        let verifiers = verifiers(table)
        let allowedPorts = ports(table, "allow_ports")
        let addresses = table.strings("allow_addresses")
        if addresses?.contains(where: { IPAddress($0) == nil }) == true {
            table.report("allow_addresses", "expected IP addresses")
        }
        let (tunnels, streams) = (table.count("tunnels"), table.count("streams"))
        let (bandwidth, visitors) = (table.bytesPerSecond("bandwidth"), Self.visitors(table))
        let expires = table.date("expires")
        if let expires, expires <= Int64(time(nil)) {
            table.warn("expires", "this client's access has expired, and it cannot connect")
        }
        let destinations = table.destinations("allow_connect")
        let names = table.names("allow_names")
        let unixDirectory = folder(table)
        let allowsLoopback = table.boolean("allow_loopback") ?? false
        let isEnabled = table.boolean("enabled") ?? true
        guard let name, let verifier = verifiers.first else { return nil }
        var client = ClientRights(name: name, verifier: verifier, allowedPorts: allowedPorts)
        client.furtherVerifiers = Array(verifiers.dropFirst())
        client.allowedAddresses = addresses
        client.allowsLoopback = allowsLoopback
        client.destinations = destinations
        client.names = names
        client.unixDirectory = unixDirectory
        (client.maximumTunnels, client.maximumStreams) = (tunnels, streams)
        (client.bandwidth, client.visitors) = (bandwidth, visitors)
        (client.expires, client.isEnabled) = (expires, isEnabled)
        return client
    }

    /// The folder for Unix sockets. systemd may make it at the start, so its absence is a warning.
    private static func folder(_ table: ConfigurationFile) -> String? {
        guard let path = table.string("unix_directory") else { return nil }
        if let problem = UnixDirectory.malformation(path) { return table.wrong("unix_directory", problem) }
        if let problem = UnixDirectory.problem(path) { table.warn("unix_directory", problem) }
        return path
    }

    /// The verifiers of a client: one, or the old one and the new one while its token is replaced.
    private static func verifiers(_ table: ConfigurationFile) -> [Verifier] {
        guard table.has("verifier") else {
            _ = table.required("verifier")
            return []
        }
        let lines = table.strings("verifier") ?? []
        if lines.isEmpty || lines.count > maximumVerifiers {
            table.report("verifier", "expected one verifier, or two while a token is replaced")
        }
        let verifiers = lines.compactMap { verifier($0, table) }
        if Set(verifiers.map(\.id)).count < verifiers.count { table.report("verifier", "the same token twice") }
        return verifiers
    }

    /// Verifiers of one client.
    static let maximumVerifiers = 2

    /// The verifier of a line. A line with the word `verifier` before it gets an error of its own.
    private static func verifier(_ line: String, _ table: ConfigurationFile) -> Verifier? {
        if let verifier = Verifier(line: line) { return verifier }
        let words = line.split(separator: " ")
        if words.count == 2, words[0] == "verifier", Verifier(line: String(words[1])) != nil {
            return table.wrong("verifier", "leave out the word verifier: the value begins with culvert1:")
        }
        return table.wrong("verifier", "expected the verifier line that `culvert token` prints")
    }

    /// The limits of visitors in a table; nil if none of their keys is there.
    private static func visitors(_ table: ConfigurationFile) -> VisitorLimits? {
        guard visitorKeys.contains(where: table.has) else { return nil }
        var limits = VisitorLimits()
        limits.connections = table.count("visitor_connections")
        limits.connectionsPerSecond = table.count("visitor_rate")
        limits.allow = table.blocks("visitor_allow")
        limits.deny = table.blocks("visitor_deny")
        limits.idleSeconds = table.seconds("visitor_idle")
        limits.bandwidth = table.bytesPerSecond("visitor_bandwidth")
        return limits
    }

    private static func ports(_ file: ConfigurationFile, _ key: String) -> PortRanges? {
        guard let text = file.string(key) else { return nil }
        return PortRanges(text) ?? file.wrong(key, "expected ports such as 1024-65535 or 8000-8099,9000")
    }
}

extension ConfigurationFile {
    /// The rules of a list of destinations; those with a mistake are reported, and left out.
    func destinations(_ key: String) -> [DestinationRule] {
        let texts = strings(key) ?? []
        var rules: [DestinationRule] = []
        for (number, text) in texts.enumerated() {
            guard let rule = DestinationRule(text) else {
                report(key, element: texts.count > 1 ? number : nil, "\(text): \(DestinationRule.form)")
                continue
            }
            rules.append(rule)
        }
        return rules
    }

    /// The patterns of a list of host names; those with a mistake are reported, and left out.
    func names(_ key: String) -> [NamePattern] {
        let texts = strings(key) ?? []
        var patterns: [NamePattern] = []
        for (number, text) in texts.enumerated() {
            guard let pattern = NamePattern(text) else {
                report(key, element: texts.count > 1 ? number : nil, "\(text): \(NamePattern.form)")
                continue
            }
            patterns.append(pattern)
        }
        return patterns
    }

    /// The places of `admin`: an address, or a list.
    func adminPlaces(standardSocket: String?) -> AdminPlaces {
        let texts = strings("admin") ?? []
        let places = problems.attempt(self, "admin") { () throws(Failure) in
            try AdminOption.places(texts, standardSocket: standardSocket) { Failure(.configuration, $0) }
        }
        return places ?? AdminPlaces()
    }

    /// Addresses to listen on: one, or a list.
    func addresses(_ key: String) -> [ListenAddress]? {
        guard let texts = strings(key) else { return nil }
        var addresses: [ListenAddress] = []
        for (number, text) in texts.enumerated() {
            guard let address = ListenAddress(text) else {
                let element = texts.count > 1 ? number : nil
                report(key, element: element, "\(text): \(ListenAddress.form)")
                continue
            }
            addresses.append(address)
        }
        return addresses
    }
}
