import ArgumentParser
import Foundation
import Logging
import Mux
import NIOSSL
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
            case .listening(let url, _): Output.line("listening \(url)")
            case .ready: manager.tell(.ready)
            case .reloading: manager.tell(.reloading)
            case .stopping: manager.tell(.stopping)
            }
        }
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
        defer { watching.cancel() }
        try await runUntilSignalled(server, logger: logger, reload: reload)
    }

    /// The files of certificates, which are read again when they change.
    private var tlsFiles: [String] {
        let file = config.flatMap { path in try? ConfigurationFile(path: path) }
        let configured = try? (
            certificate: file?.string("tls_certificate"), key: file?.string("tls_key"),
            clientAuthority: file?.string("tls_client_ca")
        )
        return [
            tlsCertificate ?? configured?.certificate, tlsKey ?? configured?.key,
            tlsClientCa ?? configured?.clientAuthority,
        ].compactMap { $0 }
    }

    /// Flags over the environment over the file.
    func configuration() throws(Failure) -> ServerConfiguration {
        let file: ConfigurationFile?
        if let config { file = try ConfigurationFile(path: config) } else { file = nil }
        var result = ServerConfiguration()
        if let file { try ServerFile.apply(file, to: &result) }
        if !listen.isEmpty { result.listen = try Self.addresses(listen) { Failure(.configuration, "--listen \($0)") } }
        if let path { result.path = path }
        if let publicAddress { result.publicAddress = publicAddress }
        if let allowPorts {
            guard let ranges = PortRanges(allowPorts) else {
                throw Failure(.configuration, "--allow-ports \(allowPorts): the form is 1024-65535 or 8000-8099,9000")
            }
            result.allowedPorts = ranges
        }
        if !allowOrigin.isEmpty { result.allowedOrigins = allowOrigin }
        if !trustedFront.isEmpty {
            result.trustedFronts = try Self.fronts(trustedFront) { Failure(.configuration, "--trusted-front: \($0)") }
        }
        if let text = backend {
            guard let backend = Backend(text) else {
                throw Failure(.configuration, "--backend: the form is http://HOST:PORT")
            }
            result.backend = backend
        }
        if let admin { result.admin = try AdminOption.address(admin) { Failure(.configuration, "--admin: \($0)") } }
        let configured = try (
            certificate: file?.string("tls_certificate"), key: file?.string("tls_key"),
            clientAuthority: file?.string("tls_client_ca"),
            token: file?.string("token_file")
        )
        (result.tls, result.clientTrust) = try TLSFiles.server(
            certificate: tlsCertificate ?? configured.certificate,
            key: tlsKey ?? configured.key,
            clientAuthority: tlsClientCa ?? configured.clientAuthority
        )
        if let token = try SecretFile.token(file: tokenFile ?? configured.token, configured: nil) {
            let client = ClientRights(
                name: "default",
                verifier: token.credentials().verifier
            )
            result.clients.append(client)
        }
        if let problem = result.problem { throw Failure(.configuration, problem) }
        return result
    }

    static func addresses(
        _ texts: [String],
        _ failure: (String) -> Failure
    ) throws(Failure) -> [ListenAddress] {
        var addresses: [ListenAddress] = []
        for text in texts {
            guard let address = ListenAddress(text) else {
                let form = "expected ADDR:PORT with an IP address, for instance 127.0.0.1:8080, or unix:/PATH"
                throw Failure(.configuration, "\(failure(text).description): \(form)")
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
