import ArgumentParser
import Foundation
import HTTP1
import Logging
import Mux
import ProxyConnect
import Tunnel

/// `culvert client`: the end beside the services.
struct ClientCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "client",
        abstract: "Dials a server, through a proxy where there is one, and publishes local services there."
    )

    @Argument(help: "The server, for instance wss://tunnel.example; several are tried in order.")
    var url: [String] = []

    @Option(
        name: [.customShort("R"), .customLong("remote")],
        help: """
            Publish a service: [BIND:]PORT:HOST:HOSTPORT, for instance 8022:localhost:22, or a range of ports, \
            8000-8010:localhost:8000-8010; may be repeated.
            """
    )
    var remote: [String] = []

    @Option(help: "A file with the token that the server knows.")
    var tokenFile: String?

    @Option(help: "Which of this user's clients on this machine it is.")
    var name: String?

    @Option(
        help: """
            What makes it the same client on another machine, for containers: a value, or a file (with a / in its path) \
            that is made with a random one. (default: of the machine and the user)
            """
    )
    var instance: String?

    @Option(
        help: """
            Where metrics and health are told: ADDR:PORT or unix:PATH; `culvert status` wants the latter. \
            (default: nowhere)
            """
    )
    var admin: String?

    @Option(help: "A configuration in TOML; flags win over it.")
    var config: String?

    @Option(
        help: """
            The proxy, http://, https://, socks5:// or socks5h://HOST:PORT; a script that names proxies, \
            pac+http://HOST/PATH or pac+file:///PATH; or none. Several are tried in order. \
            (default: the environment's)
            """
    )
    var proxy: [String] = []

    @Option(help: "How the proxy may be answered: auto, basic, digest, ntlm or negotiate. (default: auto)")
    var proxyAuth: String?

    @Option(help: "USER or USER:PASSWORD for the proxy.")
    var proxyUser: String?

    @Option(help: "A file with the proxy's password.")
    var proxyPasswordFile: String?

    @Flag(help: "Look the proxy's credentials up in ~/.netrc, or the file that NETRC names.")
    var netrc = false

    @Option(help: "A certificate of yours for a proxy that asks for one, PEM or DER.")
    var proxyCertificate: String?

    @Option(help: "The key of that certificate, PEM or DER.")
    var proxyKey: String?

    @Option(help: "A further field of the CONNECT request, 'Name: value'; may be repeated.")
    var proxyHeader: [String] = []

    @Option(help: "A CA to trust besides the system's, PEM or DER; may be repeated.")
    var ca: [String] = []

    @Option(help: "A certificate of yours for a server that asks for one, PEM or DER.")
    var tlsCertificate: String?

    @Option(help: "The key of that certificate, PEM or DER.")
    var tlsKey: String?

    @Option(
        help: """
            The key exchanges to offer, in order: X25519MLKEM768, X25519, P-256, P-384, P-521, with commas between \
            them. (default: all)
            """
    )
    var tlsGroups: String?

    @Option(help: "The newest version of TLS to speak, 1.2 or 1.3. (default: 1.3)")
    var tlsMaxVersion: String?

    @Option(
        help: """
            Dial HOST:PORT in place of the URL's host and port, directly or through the proxy; the certificate must \
            still be for the URL's host.
            """
    )
    var connectTo: String?

    @Flag(help: "Trust only the CAs given with --ca.")
    var caOnly = false

    @Option(help: "A further field of the upgrade request, 'Name: value'; may be repeated.")
    var header: [String] = []

    @Option(help: "The User-Agent of CONNECT and upgrade.")
    var userAgent: String?

    @Flag(help: "Compress what goes through the tunnel; for data that is not compressed or encrypted already.")
    var compress = false

    @Option(help: "Tries after a failed one before giving up with 69. (default: for ever)")
    var maxRetries: Int?

    @Flag(help: "End with 77 at every refusal, also after a session has worked.")
    var exitOnRefusal = false

    @Option(
        help: "Replace each WebSocket at this age, for instance 55m, where the proxy cuts old ones. (default: learnt)"
    )
    var maxCarrierAge: String?

    @OptionGroup var log: LogOptions

    /// Below, nothing but dialling would be done; above, it means nothing.
    static let carrierAges: ClosedRange<Duration> = .seconds(1) ... .seconds(86_400)

    private func carrierAge() throws(ValidationError) -> Duration? {
        guard let maxCarrierAge else { return nil }
        guard let age = Duration(words: maxCarrierAge), Self.carrierAges.contains(age) else {
            throw ValidationError("--max-carrier-age \(maxCarrierAge): expected a time such as 55m, 90s or 2h")
        }
        return age
    }

    func validate() throws {
        do throws(TunnelSpec.Malformed) { _ = try Self.tunnels(remote) } catch {
            throw ValidationError("\(error)")
        }
        for text in url {
            do throws(EndpointURL.Malformed) { _ = try EndpointURL(text) } catch { throw ValidationError("\(error)") }
        }
        for text in proxy {
            do throws(ProxySource.Malformed) { _ = try ProxySource(text) } catch {
                throw ValidationError("--proxy: \(error)")
            }
        }
        _ = try carrierAge()
        if let tlsGroups { _ = try TLSOptions.groups(tlsGroups) { ValidationError("--tls-groups: \($0)") } }
        if let tlsMaxVersion {
            _ = try TLSOptions.version(tlsMaxVersion) { ValidationError("--tls-max-version: \($0)") }
        }
        if let connectTo { _ = try TLSOptions.address(connectTo) { ValidationError("--connect-to: \($0)") } }
        if let maxRetries, maxRetries < 0 { throw ValidationError("--max-retries cannot be negative") }
        if let proxyAuth { _ = try Self.schemes(proxyAuth) { ValidationError("--proxy-auth \(proxyAuth): \($0)") } }
        if config == nil {
            if url.isEmpty { throw ValidationError("give the server's URL, for instance wss://tunnel.example") }
            if remote.isEmpty { throw ValidationError("give at least one -R, for instance -R 8022:localhost:22") }
        }
    }

    func run() async throws {
        let logger = StandardErrorLog.logger(log)
        let configuration = try configuration()
        let metrics = AdminMetrics.bootstrap(configuration.admin)
        let (renewals, renewal) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let client = Client(configuration, renewals: renewals, metrics: metrics, logger: logger) { event in
            switch event {
            case .tunnel(let url, let service): Output.fact("tunnel \(url) -> \(service)")
            }
        }
        // It works once it runs: the server may be away for a while, and services that wait for us must not.
        let manager = ServiceManager(ProcessInfo.processInfo.environment)
        ProcessSetup.logMemory(configuration.clientLimits.memory, logger)
        manager.startWatchdog()
        ProcessSetup.warnOfRoot(logger)
        let trimming = Task { [memory = client.memoryUse] in await HeapTrimmer.run { memory.bytes } }
        defer { trimming.cancel() }
        try await runUntilSignalled(client, logger: logger) {
            manager.tell(.ready)
        } reload: {
            logger.notice("SIGHUP: dialling another carrier; the configuration is read at the start only")
            renewal.yield()
            manager.tell(.ready)
        } onStopping: {
            manager.tell(.stopping)
        }
    }

    /// Flags over the environment over the file.
    ///
    /// - Throws: the first mistake.
    func configuration() throws(Failure) -> ClientConfiguration {
        let problems = ConfigurationProblems(config)
        let result = read(problems)
        try problems.settle()
        return result
    }

    /// The same for a start and for `culvert check`: everything that is wrong goes into `problems`.
    func read(_ problems: ConfigurationProblems) -> ClientConfiguration {
        let file = config.map { ConfigurationFile(path: $0, problems) }
        let settings = file.map { ClientFile($0) }
        if let config, settings?.holdsSecret == true {
            SecretFile.warnIfOthersCanRead(config, what: "configuration")
        }
        let endpoints = endpoints(settings, problems)
        let specs = tunnels(settings, problems)
        let token = problems.attempt(tokenFile == nil ? file : nil, "token", "token_file") { () throws(Failure) in
            try SecretFile.token(file: tokenFile ?? settings?.tokenFile, configured: settings?.token)
        }
        let name = name(settings, file, problems)
        var result = ClientConfiguration(
            endpoints: endpoints,
            tunnels: specs,
            token: token ?? nil,
            instance: identity(name, settings, file, problems)
        )
        result.name = name
        if let budget = SystemMemory().budget { result.clientLimits.memory = budget.bytes }
        if let file {
            LimitReader.apply(file, to: &result)
        }
        let limit = result.limits.tunnels
        if specs.count > limit {
            problems.add(
                Failure(
                    .configuration,
                    "\(specs.count) tunnels, and at most \(limit) fit into a session; "
                        + "tunnels in [limits] of both ends moves that"
                )
            )
        }
        result.pollsBusily = settings?.busyPolling ?? false
        result.isCompressing = compress || settings?.compress ?? false
        result.sharesCompression = settings?.compressShared ?? false
        result.admin = settings?.admin
        if let admin {
            let address = problems.attempt(nil) { () throws(Failure) in
                try AdminOption.address(admin) { Failure(.configuration, "admin: \($0)") }
            }
            result.admin = address ?? result.admin
        }
        result.maximumRetries = maxRetries ?? settings?.maxRetries
        result.exitsOnRefusal = exitOnRefusal || settings?.exitOnRefusal ?? false
        result.maximumCarrierAge = (try? carrierAge()) ?? settings?.maxCarrierAge
        result.userAgent = userAgent ?? settings?.userAgent ?? result.userAgent
        result.fields = fields(header, settings?.header, "header", file, problems)
        result.proxyFields = fields(proxyHeader, settings?.proxyHeader, "proxy_header", file, problems)
        readTLS(settings, file, problems, &result)
        readProxies(settings, file, problems, &result)
        return result
    }

    private func name(_ settings: ClientFile?, _ file: ConfigurationFile?, _ problems: ConfigurationProblems) -> String
    {
        let text = name ?? settings?.name ?? ""
        let isPrintable = text.unicodeScalars.allSatisfy { $0.value >= 32 && $0.value != 127 }
        guard text.utf8.count > 64 || !isPrintable else { return text }
        let problem = "must have at most 64 printable characters"
        if name == nil, let file {
            file.report("name", problem)
        } else {
            problems.add(Failure(.configuration, "--name \(problem)"))
        }
        return ""
    }

    private func identity(
        _ name: String,
        _ settings: ClientFile?,
        _ file: ConfigurationFile?,
        _ problems: ConfigurationProblems
    ) -> [UInt8] {
        guard let text = instance ?? settings?.instance else { return ClientInstance.identity(name: name) }
        let value = problems.attempt(instance == nil ? file : nil, "instance") { () throws(Failure) in
            try InstanceFile.value(text, isTrial: problems.isTrial)
        }
        return ClientInstance.identity(name: name, given: value)
    }

    /// The certificates.
    private func readTLS(
        _ settings: ClientFile?,
        _ file: ConfigurationFile?,
        _ problems: ConfigurationProblems,
        _ result: inout ClientConfiguration
    ) {
        let trust = problems.attempt(ca.isEmpty ? file : nil, "ca_only", "ca") { () throws(Failure) in
            try TLSFiles.trust(
                authorities: ca.isEmpty ? settings?.ca ?? [] : ca,
                only: caOnly || settings?.caOnly ?? false
            )
        }
        if let trust { result.trust = trust }
        let options = problems.attempt(file, "tls_groups", "tls_max_version") { () throws(Failure) in
            let groups = try tlsGroups.map { text throws(Failure) in
                try TLSOptions.groups(text) { Failure(.configuration, "--tls-groups: \($0)") }
            }
            let newest = try tlsMaxVersion.map { text throws(Failure) in
                try TLSOptions.version(text) { Failure(.configuration, "--tls-max-version: \($0)") }
            }
            return try TLSOptions.client(groups ?? settings?.tlsGroups, newest ?? settings?.tlsMaximum)
        }
        result.connectTo = settings?.connectTo
        if let connectTo {
            let address = problems.attempt(nil) { () throws(Failure) in
                try TLSOptions.address(connectTo) { Failure(.configuration, "--connect-to: \($0)") }
            }
            result.connectTo = address ?? result.connectTo
        }
        guard let options else { return }
        let proxyTLS = problems.attempt(file, "proxy_key", "proxy_certificate") { () throws(Failure) in
            try TLSFiles.identified(
                options,
                certificate: proxyCertificate ?? settings?.proxyCertificate,
                key: proxyKey ?? settings?.proxyKey,
                flags: "--proxy-certificate and --proxy-key"
            )
        }
        let tls = problems.attempt(file, "tls_key", "tls_certificate") { () throws(Failure) in
            try TLSFiles.identified(
                options,
                certificate: tlsCertificate ?? settings?.tlsCertificate,
                key: tlsKey ?? settings?.tlsKey,
                flags: "--tls-certificate and --tls-key"
            )
        }
        result.proxyTLS = proxyTLS ?? options
        result.tls = tls ?? options
    }

    /// The proxies and their credentials.
    private func readProxies(
        _ settings: ClientFile?,
        _ file: ConfigurationFile?,
        _ problems: ConfigurationProblems,
        _ result: inout ClientConfiguration
    ) {
        let credentials = problems.attempt(file, "proxy_user", "proxy_password_file") { () throws(Failure) in
            try SecretFile.proxyCredentials(
                user: proxyUser ?? settings?.proxyUser,
                passwordFile: proxyPasswordFile ?? settings?.proxyPasswordFile,
                netrc: netrc || settings?.netrc ?? false
            )
        }
        if let credentials { result.proxyCredentials = credentials }
        if let auth = proxyAuth ?? settings?.proxyAuth {
            let schemes = problems.attempt(proxyAuth == nil ? file : nil, "proxy_auth") { () throws(Failure) in
                try Self.schemes(auth) { (problem: String) -> Failure in Failure(.configuration, problem) }
            }
            if let schemes { result.proxySchemes = schemes }
        }
        let endpoints = result.endpoints
        let proxies = problems.attempt(proxy.isEmpty ? file : nil, "proxy") { () throws(Failure) in
            try self.proxies(settings, endpoints)
        }
        if let proxies { result.proxies = proxies }
    }

    private func endpoints(_ settings: ClientFile?, _ problems: ConfigurationProblems) -> [EndpointURL] {
        var endpoints: [EndpointURL] = []
        let texts = url.isEmpty ? settings?.url ?? [] : url
        for text in texts {
            do throws(EndpointURL.Malformed) {
                endpoints.append(try EndpointURL(text))
            } catch {
                // The file's own have been reported with their lines.
                if !url.isEmpty { problems.add(Failure(.configuration, error.description)) }
            }
        }
        if texts.isEmpty { problems.addMissing("no server's URL, in the configuration or as argument") }
        return endpoints
    }

    private func tunnels(_ settings: ClientFile?, _ problems: ConfigurationProblems) -> [TunnelSpec] {
        guard !remote.isEmpty else {
            let isThere = settings?.hasTunnels ?? false
            if !isThere { problems.addMissing("no tunnel, by [[tunnel]] or -R") }
            return settings?.tunnels ?? []
        }
        let tunnels = problems.attempt(nil) { () throws(Failure) in
            do {
                return try Self.tunnels(remote)
            } catch {
                throw Failure(.configuration, "\(error)")
            }
        }
        return tunnels ?? []
    }

    private static func tunnels(_ texts: [String]) throws(TunnelSpec.Malformed) -> [TunnelSpec] {
        var tunnels: [TunnelSpec] = []
        for text in texts {
            let range = try TunnelSpec.list(text)
            if let other = TunnelSpec.collision(range, tunnels) {
                throw TunnelSpec.Malformed("-R \(text): the same public port as that of -R \(other)")
            }
            tunnels += range
        }
        return tunnels
    }

    /// The flag, else the file, else the environment as each endpoint's scheme and name want it.
    private func proxies(
        _ settings: ClientFile?,
        _ endpoints: [EndpointURL]
    ) throws(Failure) -> @Sendable (EndpointURL) async throws -> [ProxyChoice] {
        let named = proxy.isEmpty ? settings?.proxy ?? [] : proxy
        if !named.isEmpty {
            var sources: [ProxySource] = []
            for text in named {
                do throws(ProxySource.Malformed) {
                    sources.append(try ProxySource(text))
                } catch {
                    throw Failure(.configuration, proxy.isEmpty ? "\(error)" : "proxy: \(error)")
                }
            }
            let all = ProxySources(sources, engine: ProxyScriptProcess(), logger: StandardErrorLog.logger(log))
            return { try await all.choices(for: $0) }
        }
        do throws(ProxyEnvironment.Failure) {
            return try ProxyEnvironment(ProcessInfo.processInfo.environment).choices(for: endpoints)
        } catch {
            throw Failure(.configuration, "the environment's \(error)")
        }
    }

    /// Further fields, of the flag or else of the file's key.
    private func fields(
        _ flags: [String],
        _ configured: [String]?,
        _ key: String,
        _ file: ConfigurationFile?,
        _ problems: ConfigurationProblems
    ) -> HeaderFields {
        var fields = HeaderFields()
        let isOfFile = flags.isEmpty
        for (index, line) in (isOfFile ? configured ?? [] : flags).enumerated() {
            guard let problem = Self.append(line, to: &fields, of: key) else { continue }
            // By its number: the text may be a secret.
            if isOfFile, let file {
                file.report(key, element: index, "\(index + 1): \(problem)")
            } else {
                let flag = "--" + key.replacing("_", with: "-")
                problems.add(Failure(.configuration, "\(flag) \(index + 1): \(problem)"))
            }
        }
        return fields
    }

    /// Appends `Name: value`, or says what is wrong with it.
    private static func append(_ line: String, to fields: inout HeaderFields, of key: String) -> String? {
        guard let colon = line.firstIndex(of: ":") else { return "the form is 'Name: value'" }
        let value = line[line.index(after: colon)...].drop { $0 == " " }
        do throws(HTTP1Error) {
            let name = String(line[..<colon])
            try fields.append(name, String(value))
            guard key == "header", ClientConfiguration.isOwnField(name) else { return nil }
            return "the upgrade request has a field \(name) of its own"
        } catch {
            return "\(error)"
        }
    }

    private static func schemes<Problem: Error>(
        _ text: String,
        _ problem: (String) -> Problem
    ) throws(Problem) -> Set<ProxyScheme> {
        if text == "auto" { return ProxyScheme.all }
        guard let scheme = ProxyScheme(rawValue: text) else {
            throw problem("give auto, basic, digest, ntlm or negotiate")
        }
        return [scheme]
    }
}
