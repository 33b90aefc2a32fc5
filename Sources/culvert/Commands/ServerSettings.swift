import HTTPRelay
import Mux
import NIOSSL
import NetworkAddress
import Tunnel

/// Makes a server's configuration from its flags, the environment and its file.
///
/// A flag wins over the environment, and the environment wins over the file. Mistakes go into ``problems``.
struct ServerSettings {
    let flags: ServerOptions
    let file: ConfigurationFile?
    let problems: ConfigurationProblems

    init(_ flags: ServerOptions, _ problems: ConfigurationProblems) {
        self.flags = flags
        self.problems = problems
        file = flags.config.map { ConfigurationFile(path: $0, problems) }
    }

    /// The files of certificates, which are read again when they change.
    var tlsFiles: [String] {
        let own = [
            flags.tlsCertificate ?? file?.string("tls_certificate"), flags.tlsKey ?? file?.string("tls_key"),
            flags.tlsClientCa ?? file?.string("tls_client_ca"),
        ]
        let names = file?.tables("certificate").flatMap { [$0.string("certificate"), $0.string("key")] } ?? []
        return (own + names).compactMap { $0 }
    }

    /// The whole configuration. A value with a mistake has its default.
    func configuration() -> ServerConfiguration {
        var result = ServerConfiguration()
        if let budget = SystemMemory().budget { result.serverLimits.memory = budget.bytes }
        let socket = StandardSocket.ofThisProcess.path(StandardSocket.server)
        result.admin = AdminPlaces(standardSocket: socket)
        if let file { ServerFile.apply(file, standardSocket: socket, to: &result) }
        // A verifier is enough to impersonate the server to its client.
        if let config = flags.config, file?.has("client") == true {
            SecretFile.warnIfOthersCanRead(config, what: "configuration", isForGroup: true)
        }
        if !flags.listen.isEmpty {
            let addresses = problems.attempt(nil) { () throws(Failure) in
                try Self.addresses(flags.listen) { Failure(.configuration, "--listen \($0)") }
            }
            if let addresses { result.listen = addresses }
        }
        readAccess(&result)
        if let folder = flags.unixDirectory {
            result.unixDirectory = folder
            if let problem = UnixDirectory.malformation(folder) ?? UnixDirectory.problem(folder) {
                problems.add(Failure(.configuration, "--unix-directory \(folder): \(problem)"))
            }
        } else if let file, !result.hasUnixDirectory {
            for key in ["unix_mode", "unix_group"] where file.has(key) {
                file.warn(key, "it has no effect without unix_directory")
            }
        }
        if let path = flags.path { result.path = path }
        if let publicAddress = flags.publicAddress { result.publicAddress = publicAddress }
        if let allowPorts = flags.allowPorts {
            if let ranges = PortRanges(allowPorts) {
                result.allowedPorts = ranges
            } else {
                let form = "the form is 1024-65535 or 8000-8099,9000"
                problems.add(Failure(.configuration, "--allow-ports \(allowPorts): \(form)"))
            }
        }
        if !flags.allowConnect.isEmpty {
            result.destinations = flags.allowConnect.compactMap { text in
                let rule = DestinationRule(text)
                if rule == nil {
                    problems.add(Failure(.configuration, "--allow-connect \(text): \(DestinationRule.form)"))
                }
                return rule
            }
        }
        readNames(&result)
        if let file { ServerFile.warnOfNames(file, result) }
        if !flags.allowOrigin.isEmpty { result.allowedOrigins = flags.allowOrigin }
        if !flags.trustedFront.isEmpty {
            let fronts = problems.attempt(nil) { () throws(Failure) in
                try Self.fronts(flags.trustedFront) { Failure(.configuration, "--trusted-front: \($0)") }
            }
            if let fronts { result.trustedFronts = fronts }
        }
        if let text = flags.backend {
            result.backend = Backend(text)
            if result.backend == nil {
                problems.add(Failure(.configuration, "--backend: the form is http://HOST:PORT"))
            }
        }
        if !flags.admin.isEmpty {
            let places = problems.attempt(nil) { () throws(Failure) in
                try AdminOption.places(flags.admin, standardSocket: socket) {
                    Failure(.configuration, "--admin: \($0)")
                }
            }
            if let places { result.admin = places }
        }
        readFiles(&result)
        check(result)
        return result
    }

    /// The addresses and the names of the router.
    private func readNames(_ result: inout ServerConfiguration) {
        for (texts, flag, target) in [
            (flags.httpListen, "--http-listen", \ServerConfiguration.httpListen),
            (flags.httpsListen, "--https-listen", \ServerConfiguration.httpsListen),
        ] where !texts.isEmpty {
            let addresses = problems.attempt(nil) { () throws(Failure) in
                try Self.addresses(texts) { Failure(.configuration, "\(flag) \($0)") }
            }
            if let addresses { result[keyPath: target] = addresses }
        }
        if let text = flags.httpDomain {
            result.httpDomain = PublicName(text)
            if result.httpDomain == nil {
                problems.add(Failure(.configuration, "--http-domain \(text): it is not a host name"))
            }
        }
        guard !flags.allowNames.isEmpty else { return }
        result.names = flags.allowNames.compactMap { text in
            let pattern = NamePattern(text)
            if pattern == nil {
                problems.add(Failure(.configuration, "--allow-names \(text): \(NamePattern.form)"))
            }
            return pattern
        }
    }

    /// The mode and group of a unix socket to listen on, and those of clients' sockets.
    private func readAccess(_ result: inout ServerConfiguration) {
        read(&result.listenAccess, mode: ("listen", flags.listenMode), group: flags.listenGroup)
        // A group without a mode stands for 0660.
        var access = UnixSocketAccess()
        read(&access, mode: ("unix", flags.unixMode), group: flags.unixGroup)
        if access != UnixSocketAccess() { result.unixAccess = access }
    }

    private func read(
        _ access: inout UnixSocketAccess,
        mode: (place: String, flag: String?),
        group: String?
    ) {
        let place = mode.place
        if let text = mode.flag ?? file?.string("\(place)_mode") {
            access.mode = UnixSocketAccess.mode(text)
            if access.mode == nil {
                let problem = "\(text) is not a file mode; write it in octal digits, \"0660\""
                report(mode.flag == nil ? problem : "--\(place)-mode: \(problem)", "\(place)_mode")
            }
        }
        if let text = group ?? file?.string("\(place)_group") {
            access.group = UnixSocketAccess.group(text)
            if access.group == nil {
                let problem = "there is no group \(text) on this machine"
                report(group == nil ? problem : "--\(place)-group: \(problem)", "\(place)_group")
            }
        }
    }

    /// The certificate and the token.
    private func readFiles(_ result: inout ServerConfiguration) {
        let (certificate, key) = (file?.string("tls_certificate"), file?.string("tls_key"))
        let (authority, token) = (file?.string("tls_client_ca"), file?.string("token_file"))
        let tls = problems.attempt(file, "tls_key", "tls_certificate", "tls_client_ca") { () throws(Failure) in
            try TLSFiles.server(
                certificate: flags.tlsCertificate ?? certificate,
                key: flags.tlsKey ?? key,
                clientAuthority: flags.tlsClientCa ?? authority
            )
        }
        (result.tls, result.clientTrust) = tls ?? (nil, nil)
        let secret = problems.attempt(flags.tokenFile == nil ? file : nil, "token_file") { () throws(Failure) in
            try SecretFile.token(file: flags.tokenFile, configured: (token, nil), isTrial: problems.isTrial)
        }
        if let secret = secret ?? nil {
            var client = ClientRights(name: "default", verifier: secret.credentials().verifier)
            // The server's own token is its operator's; other entries belong to other users.
            client.allowsLoopback = result.clients.isEmpty
            client.destinations = result.destinations
            client.names = result.names
            result.clients.append(client)
        }
        // With a token that could not be read, the server is not one without a token.
        if secret == nil { result.clients.append(ClientRights(name: "default", verifier: .placeholder)) }
    }

    /// Reports values that contradict each other.
    private func check(_ result: ServerConfiguration) {
        checkPlaces(result)
        for problem in result.problems {
            // A client's entry with a mistake still counts as an entry.
            if problem.isAboutMissing, problems.isPartial || (problems.hasErrors && file?.has("client") == true) {
                continue
            }
            report(problem.description, problem.key)
        }
    }

    /// Reports a mistake at the key that has the value, or without a line if a flag has it.
    private func report(_ problem: String, _ key: String) {
        guard let file, file.has(key), !given.contains(key) else {
            return problems.add(Failure(.configuration, problem))
        }
        file.report(key, problem)
    }

    /// The keys whose flags are given.
    private var given: Set<String> {
        let flags = [
            ("listen", !flags.listen.isEmpty), ("admin", !flags.admin.isEmpty), ("path", flags.path != nil),
            ("public_address", flags.publicAddress != nil), ("listen_mode", flags.listenMode != nil),
            ("listen_group", flags.listenGroup != nil), ("unix_mode", flags.unixMode != nil),
            ("unix_group", flags.unixGroup != nil), ("http_listen", !flags.httpListen.isEmpty),
            ("https_listen", !flags.httpsListen.isEmpty),
        ]
        return Set(flags.filter(\.1).map(\.0))
    }

    /// Reports addresses that this machine cannot bind. A socket that systemd hands over is bound already.
    private func checkPlaces(_ result: ServerConfiguration) {
        let isHandedOver = ProcessEnvironment.all["LISTEN_FDS"] != nil
        var places = isHandedOver ? [] : result.listen.map { ("listen", $0) }
        places += result.admin.addresses.map { ("admin", $0) }
        places += result.httpListen.map { ("http_listen", $0) } + result.httpsListen.map { ("https_listen", $0) }
        for (key, address) in places {
            if address.isOfThisMachine == false {
                let text = "cannot listen on \(address): this machine does not have that address"
                report(text, key)
            }
            // A warning, because systemd makes a RuntimeDirectory at the start.
            if let folder = address.missingFolder, let file, file.has(key), !given.contains(key) {
                file.warn(key, "there is no folder \(folder) yet")
            }
        }
    }

    static func addresses(
        _ texts: [String],
        _ failure: (String) -> Failure
    ) throws(Failure) -> [ListenAddress] {
        var addresses: [ListenAddress] = []
        for text in texts {
            guard let address = ListenAddress(text) else {
                throw Failure(.configuration, "\(failure(text).description): \(ListenAddress.form)")
            }
            addresses.append(address)
        }
        return addresses
    }

    static func fronts(_ texts: [String], _ failure: (String) -> Failure) throws(Failure) -> TrustedFronts {
        let addresses = texts.filter { $0 != "unix" }
        guard let blocks = VisitorLimits.blocks(addresses.joined(separator: ",")) else {
            throw failure("expected addresses, blocks such as 10.0.0.0/8, or unix")
        }
        return TrustedFronts(blocks: blocks, includesUnix: addresses.count < texts.count)
    }
}
