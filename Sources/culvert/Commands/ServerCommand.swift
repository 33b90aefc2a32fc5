import ArgumentParser
import Foundation
import Logging
import Mux
import NIOSSL
import NetworkAddress
import Synchronization
import Tunnel

/// `culvert server`: the public end.
struct ServerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "server",
        abstract: "Takes clients' WebSockets and opens public ports for them."
    )

    @Option(help: "Where to take WebSockets: ADDR:PORT or unix:PATH; may be repeated. (default: 127.0.0.1:8080)")
    var listen: [String] = []

    @Option(help: "The mode of a unix socket to listen on, for instance 0660. (default: as the umask has it)")
    var listenMode: String?

    @Option(help: "The group of a unix socket to listen on, by name or number; its mode is 0660 then unless given.")
    var listenGroup: String?

    @Option(help: "The endpoint's path. (default: /tunnel)")
    var path: String?

    @Option(help: "The address of public ports. (default: all; loopback without a token)")
    var publicAddress: String?

    @Option(help: "Ports that clients may ask for. (default: 1024-65535)")
    var allowPorts: String?

    @Option(help: "A certificate chain in PEM, or one certificate in DER, to speak TLS without a front.")
    var tlsCertificate: String?

    @Option(help: "The certificate's key, PEM or DER.")
    var tlsKey: String?

    @Option(help: "A CA, PEM or DER: clients must show a certificate that it has signed. (default: none need one)")
    var tlsClientCa: String?

    @Option(help: "An Origin from which browsers' pages may connect; may be repeated. (default: none)")
    var allowOrigin: [String] = []

    @Option(
        help: """
            A front whose word is believed about where connections come from: an address, a block, or unix; may be \
            repeated. (default: none)
            """
    )
    var trustedFront: [String] = []

    @Option(help: "A web server that gets every other request, http://HOST:PORT. (default: they are answered with 404)")
    var backend: String?

    @Option(help: "A file with the token that clients must know.")
    var tokenFile: String?

    @Option(
        help: """
            Where metrics and health are told: ADDR:PORT or unix:PATH; `culvert status` and `culvert kick` want the \
            latter. (default: nowhere)
            """
    )
    var admin: String?

    @Option(help: "A configuration in TOML; flags win over it.")
    var config: String?

    @OptionGroup var log: LogOptions

    func run() async throws {
        let logger = StandardErrorLog.logger(log)
        let (reloads, continuation) = AsyncStream<ServerConfiguration>.makeStream()
        let environment = ProcessInfo.processInfo.environment
        let manager = ServiceManager(environment)
        var configuration = try configuration()
        configuration.openSockets = SocketActivation.descriptors(environment)
        let metrics = AdminMetrics.bootstrap(configuration.admin)
        let server = Server(configuration, reloads: reloads, metrics: metrics, logger: logger) { event in
            switch event {
            case .listening(let url, _): Output.fact("listening \(url)")
            case .ready: manager.tell(.ready)
            case .reloading: manager.tell(.reloading)
            case .stopping: manager.tell(.stopping)
            }
        }
        ProcessSetup.logMemory(configuration.serverLimits.memory, logger)
        manager.startWatchdog()
        ProcessSetup.warnOfRoot(logger)
        let command = self
        let watched = Mutex(tlsFiles)
        let reload: @Sendable () -> Void = {
            do {
                continuation.yield(try command.configuration())
                watched.withLock { $0 = command.tlsFiles }
            } catch {
                logger.error("not reloaded, and nothing has changed", metadata: ["problem": "\(Failure(error))"])
            }
        }
        let watching = Task { await FileWatch { watched.withLock { $0 } }.run(onChange: reload) }
        let trimming = Task { [memory = server.memoryUse] in await HeapTrimmer.run { memory.bytes } }
        defer {
            watching.cancel()
            trimming.cancel()
        }
        try await runUntilSignalled(server, logger: logger, reload: reload)
    }

    /// The files of certificates, which are read again when they change.
    private var tlsFiles: [String] {
        let file = config.map { path in ConfigurationFile(path: path, ConfigurationProblems(path)) }
        let (certificate, key) = (file?.string("tls_certificate"), file?.string("tls_key"))
        let authority = file?.string("tls_client_ca")
        return [tlsCertificate ?? certificate, tlsKey ?? key, tlsClientCa ?? authority].compactMap { $0 }
    }

    /// Flags over the environment over the file.
    ///
    /// - Throws: the first mistake.
    func configuration() throws(Failure) -> ServerConfiguration {
        let problems = ConfigurationProblems(config)
        let result = read(problems)
        try problems.settle()
        return result
    }

    /// The same for a start and for `culvert check`: everything that is wrong goes into `problems`.
    func read(_ problems: ConfigurationProblems) -> ServerConfiguration {
        let file = config.map { ConfigurationFile(path: $0, problems) }
        var result = ServerConfiguration()
        if let budget = SystemMemory().budget { result.serverLimits.memory = budget.bytes }
        if let file { ServerFile.apply(file, to: &result) }
        // A verifier is enough to play the server to its client.
        if let config, file?.has("client") == true {
            SecretFile.warnIfOthersCanRead(config, what: "configuration", isForGroup: true)
        }
        if !listen.isEmpty {
            let addresses = problems.attempt(nil) { () throws(Failure) in
                try Self.addresses(listen) { Failure(.configuration, "--listen \($0)") }
            }
            if let addresses { result.listen = addresses }
        }
        readAccess(file, problems, &result)
        if let path { result.path = path }
        if let publicAddress { result.publicAddress = publicAddress }
        if let allowPorts {
            if let ranges = PortRanges(allowPorts) {
                result.allowedPorts = ranges
            } else {
                let form = "the form is 1024-65535 or 8000-8099,9000"
                problems.add(Failure(.configuration, "--allow-ports \(allowPorts): \(form)"))
            }
        }
        if !allowOrigin.isEmpty { result.allowedOrigins = allowOrigin }
        if !trustedFront.isEmpty {
            let fronts = problems.attempt(nil) { () throws(Failure) in
                try Self.fronts(trustedFront) { Failure(.configuration, "--trusted-front: \($0)") }
            }
            if let fronts { result.trustedFronts = fronts }
        }
        if let text = backend {
            result.backend = Backend(text)
            if result.backend == nil {
                problems.add(Failure(.configuration, "--backend: the form is http://HOST:PORT"))
            }
        }
        if let admin {
            let address = problems.attempt(nil) { () throws(Failure) in
                try AdminOption.address(admin) { Failure(.configuration, "--admin: \($0)") }
            }
            if let address { result.admin = address }
        }
        readFiles(file, problems, &result)
        check(file, problems, result)
        return result
    }

    /// Mode and group of a unix socket to listen on.
    private func readAccess(
        _ file: ConfigurationFile?,
        _ problems: ConfigurationProblems,
        _ result: inout ServerConfiguration
    ) {
        if let text = listenMode ?? file?.string("listen_mode") {
            result.listenAccess.mode = UnixSocketAccess.mode(text)
            if result.listenAccess.mode == nil {
                let problem = "\(text) is not a file mode; write it in octal digits, \"0660\""
                report(listenMode == nil ? problem : "--listen-mode: \(problem)", "listen_mode", file, problems)
            }
        }
        if let text = listenGroup ?? file?.string("listen_group") {
            result.listenAccess.group = UnixSocketAccess.group(text)
            if result.listenAccess.group == nil {
                let problem = "there is no group \(text) on this machine"
                report(listenGroup == nil ? problem : "--listen-group: \(problem)", "listen_group", file, problems)
            }
        }
    }

    /// The certificate and the token.
    private func readFiles(
        _ file: ConfigurationFile?,
        _ problems: ConfigurationProblems,
        _ result: inout ServerConfiguration
    ) {
        let (certificate, key) = (file?.string("tls_certificate"), file?.string("tls_key"))
        let (authority, token) = (file?.string("tls_client_ca"), file?.string("token_file"))
        let tls = problems.attempt(file, "tls_key", "tls_certificate", "tls_client_ca") { () throws(Failure) in
            try TLSFiles.server(
                certificate: tlsCertificate ?? certificate,
                key: tlsKey ?? key,
                clientAuthority: tlsClientCa ?? authority
            )
        }
        (result.tls, result.clientTrust) = tls ?? (nil, nil)
        let secret = problems.attempt(tokenFile == nil ? file : nil, "token_file") { () throws(Failure) in
            try SecretFile.token(file: tokenFile ?? token, configured: nil)
        }
        if let secret = secret ?? nil {
            var client = ClientRights(name: "default", verifier: secret.credentials().verifier)
            // The server's own token belongs to its operator; other entries belong to other people.
            client.allowsLoopback = result.clients.isEmpty
            result.clients.append(client)
        }
        // A token that could not be read is no server without one.
        if secret == nil { result.clients.append(ClientRights(name: "default", verifier: .placeholder)) }
    }

    /// What does not fit together.
    private func check(_ file: ConfigurationFile?, _ problems: ConfigurationProblems, _ result: ServerConfiguration) {
        checkPlaces(file, problems, result)
        for problem in result.problems {
            // A client's entry with a mistake is still one.
            if problem.isAboutMissing, problems.isPartial || (problems.hasErrors && file?.has("client") == true) {
                continue
            }
            report(problem.description, problem.key, file, problems)
        }
    }

    /// Reports a mistake at the key that has the value, unless a flag has given it.
    private func report(
        _ problem: String,
        _ key: String,
        _ file: ConfigurationFile?,
        _ problems: ConfigurationProblems
    ) {
        guard let file, file.has(key), !given.contains(key) else {
            return problems.add(Failure(.configuration, problem))
        }
        file.report(key, problem)
    }

    /// The keys that a flag has given.
    private var given: Set<String> {
        let flags = [
            ("listen", !listen.isEmpty), ("admin", admin != nil), ("path", path != nil),
            ("public_address", publicAddress != nil), ("listen_mode", listenMode != nil),
            ("listen_group", listenGroup != nil),
        ]
        return Set(flags.filter(\.1).map(\.0))
    }

    /// Whether the addresses to listen on can be bound here. A socket that systemd hands over is bound already.
    private func checkPlaces(
        _ file: ConfigurationFile?,
        _ problems: ConfigurationProblems,
        _ result: ServerConfiguration
    ) {
        let isHandedOver = ProcessInfo.processInfo.environment["LISTEN_FDS"] != nil
        var places = isHandedOver ? [] : result.listen.map { ("listen", $0) }
        if let admin = result.admin { places.append(("admin", admin)) }
        for (key, address) in places {
            if address.isOfThisMachine == false {
                let text = "cannot listen on \(address): this machine does not have that address"
                report(text, key, file, problems)
            }
            // Not a mistake: systemd makes a RuntimeDirectory at the start.
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
