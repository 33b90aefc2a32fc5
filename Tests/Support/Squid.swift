/// A running Squid on loopback, without a cache, for CONNECT.
public struct Squid: Sendable {
    /// A scheme that Squid offers, with the credentials that it accepts.
    public enum Scheme: Sendable {
        /// Basic.
        case basic(user: String, password: String)
        /// Digest, with MD5.
        case digest(user: String, password: String)
        /// The legs of NTLM, with any password.
        case fakeNTLM
        /// NTLM, which Samba verifies against one password for all users.
        case ntlm(domain: String, password: String)
        /// Negotiate with tickets of a realm.
        case negotiate(KerberosRealm)
    }

    /// TLS to the proxy.
    public struct TLS: Sendable {
        let certificate: Certificate
        let clientAuthority: String?

        /// - Parameter clientAuthority: the CA of clients' certificates; nil if none is asked for.
        public init(_ certificate: Certificate, clientAuthority: String? = nil) {
            (self.certificate, self.clientAuthority) = (certificate, clientAuthority)
        }
    }

    /// The process.
    public let process: ChildProcess
    /// The port on which it listens.
    public let port: UInt16
    private let isSecure: Bool
    /// The folder of its files, with all logs.
    public let folder: String
    private let environment: [String: String]

    /// The URL for `--proxy`.
    public var url: String { url(host: "127.0.0.1") }

    /// The URL with another name or address of loopback.
    public func url(host: String) -> String { "\(isSecure ? "https" : "http")://\(host):\(port)" }

    /// The access log's lines of CONNECTs to a port: result and status, method, target, user. Squid writes one when
    /// the tunnel has ended, or was refused.
    public func connects(to target: UInt16) -> [String] {
        logLines("\(folder)/access.log", containing: ["CONNECT", ":\(target) "])
    }

    /// The log's lines of opened tunnels.
    public func tunnels(to target: UInt16) -> [String] {
        connects(to: target).filter { $0.contains("TCP_TUNNEL/200") }
    }

    /// Starts an open proxy, or one that demands Basic credentials.
    ///
    /// - Parameters:
    ///   - user: the user whose Basic credentials the proxy demands, with `password`; nil for an open proxy.
    ///   - port: the port; nil for a free one.
    public static func start(
        in scenario: Scenario,
        user: String? = nil,
        password: String = "",
        port: UInt16? = nil
    ) async throws -> Squid {
        let schemes = user.map { [Scheme.basic(user: $0, password: password)] } ?? []
        return try await start(in: scenario, offering: schemes, port: port)
    }

    /// Starts a proxy that offers schemes, the strongest first; none for an open proxy.
    ///
    /// - Parameter tls: TLS towards clients; nil for plain HTTP.
    public static func start(
        in scenario: Scenario,
        offering schemes: [Scheme],
        tls: TLS? = nil,
        port: UInt16? = nil
    ) async throws -> Squid {
        let port = try port ?? FreePorts.next()
        let folder = try scenario.folder("squid-\(port)")
        var access: [String] = []
        var environment: [String: String] = [:]
        for scheme in schemes {
            access += try await configure(scheme, folder, scenario)
            if case .negotiate(let realm) = scheme { environment = realm.environment }
        }
        access +=
            schemes.isEmpty
            ? ["http_access allow all"]
            : ["acl known proxy_auth REQUIRED", "http_access allow known", "http_access deny all"]
        try scenario.write(
            """
            \(try listener(port, tls, scenario))
            \(access.joined(separator: "\n"))
            logformat short %Ss/%03>Hs %rm %ru %un
            access_log stdio:\(folder)/access.log short
            cache_log \(folder)/cache.log
            cache_store_log none
            cache deny all
            cache_mem 8 MB
            memory_cache_shared off
            coredump_dir \(folder)
            pid_filename \(folder)/squid.pid
            netdb_filename none
            pinger_enable off
            shutdown_lifetime 0 seconds
            visible_hostname culvert-test
            max_filedescriptors 1024
            """,
            to: "\(folder)/squid.conf"
        )
        return try await start(
            in: scenario,
            port: port,
            isSecure: tls != nil,
            folder: folder,
            environment: environment
        )
    }

    /// Starts an open proxy that ends TLS with certificates of its own, passes WebSockets on, and logs all that it can:
    /// the heads of requests and answers, addresses and names.
    ///
    /// - Parameters:
    ///   - inspector: the CA of those certificates.
    ///   - serverAuthority: the CA of the servers.
    public static func inspecting(
        in scenario: Scenario,
        _ inspector: IssuedCertificate,
        serverAuthority: String
    ) async throws -> Squid {
        let port = try FreePorts.next()
        let folder = try scenario.folder("squid-\(port)")
        try scenario.makeReadable(inspector.key)
        let maker = Program.squidCertificates
        try await scenario.run(maker, ["-c", "-s", "\(folder)/certificates", "-M", "4MB"])
        // Squid drops root's rights before it starts the helper.
        try await scenario.run(.chmod, ["-R", "a+rwX", "\(folder)/certificates"])
        try scenario.write(
            """
            http_port 127.0.0.1:\(port) ssl-bump generate-host-certificates=on tls-cert=\(inspector.certificate) \
            tls-key=\(inspector.key)
            sslcrtd_program \(try maker.required()) -s \(folder)/certificates -M 4MB
            sslcrtd_children 2 startup=1 idle=1
            tls_outgoing_options cafile=\(serverAuthority)
            ssl_bump bump all
            http_upgrade_request_protocols websocket allow all
            http_access allow all
            logformat all %Ss/%03>Hs %rm %ru %un %>a:%>p %<a:%<p %ssl::>sni %st %'>h %'>ha %'<h
            access_log stdio:\(folder)/access.log all
            cache_log \(folder)/cache.log
            debug_options ALL,1 11,2
            cache_store_log none
            cache deny all
            cache_mem 8 MB
            memory_cache_shared off
            coredump_dir \(folder)
            pid_filename \(folder)/squid.pid
            netdb_filename none
            pinger_enable off
            shutdown_lifetime 0 seconds
            visible_hostname culvert-test
            max_filedescriptors 1024
            """,
            to: "\(folder)/squid.conf"
        )
        return try await start(in: scenario, port: port, isSecure: false, folder: folder, environment: [:])
    }

    /// The access log.
    public var log: String { logLines("\(folder)/access.log", containing: []).joined(separator: "\n") }

    private static func listener(_ port: UInt16, _ tls: TLS?, _ scenario: Scenario) throws -> String {
        guard let tls else { return "http_port 127.0.0.1:\(port)" }
        try scenario.makeReadable(tls.certificate.key)
        let wanted = tls.clientAuthority.map { " clientca=\($0)" } ?? ""
        return
            "https_port 127.0.0.1:\(port) tls-cert=\(tls.certificate.certificate) tls-key=\(tls.certificate.key)\(wanted)"
    }

    /// The configuration lines of one scheme, and the files that they name.
    private static func configure(_ scheme: Scheme, _ folder: String, _ scenario: Scenario) async throws -> [String] {
        switch scheme {
        case .basic(let user, let password):
            let hash = try await scenario.run(.openssl, ["passwd", "-apr1", password])
            try scenario.write("\(user):\(hash)\n", to: "\(folder)/basic")
            return [
                "auth_param basic program \(try Program.squidBasic.required()) \(folder)/basic",
                "auth_param basic children 2 startup=1 idle=1", "auth_param basic realm culvert",
            ]
        case .digest(let user, let password):
            // A file of hashes permits colons in the password.
            try scenario.write("\(user):culvert:\(password)", to: "\(folder)/secret")
            let hash = try await scenario.run(.openssl, ["dgst", "-md5", "-r", "\(folder)/secret"]).prefix(32)
            try scenario.write("\(user):culvert:\(hash)\n", to: "\(folder)/digest")
            return [
                "auth_param digest program \(try Program.squidDigest.required()) -c \(folder)/digest",
                "auth_param digest children 2 startup=1 idle=1", "auth_param digest realm culvert",
            ]
        case .fakeNTLM:
            return ntlm(try Program.squidFakeNTLM.required())
        case .ntlm(let domain, let password):
            let home = try scenario.folder("\(folder.dropFirst(scenario.directory.count + 1))/samba")
            let folders = ["private dir", "lock directory", "state directory", "cache directory", "pid directory"]
            try scenario.write(
                """
                [global]
                workgroup = \(domain)
                netbios name = PROXY
                \(folders.map { "\($0) = \(home)" }.joined(separator: "\n"))

                """,
                to: "\(home)/smb.conf"
            )
            return ntlm(
                "\(try Program.ntlmAuth.required()) --configfile=\(home)/smb.conf --helper-protocol=squid-2.5-ntlmssp "
                    + "--domain=\(domain) --username=anybody --password=\(password)"
            )
        case .negotiate(let realm):
            return [
                "auth_param negotiate program \(try Program.squidNegotiate.required()) -k \(realm.serviceKeytab) "
                    + "-s HTTP/localhost@\(KerberosRealm.name)",
                "auth_param negotiate children 2 startup=1 idle=1", "auth_param negotiate keep_alive on",
            ]
        }
    }

    private static func ntlm(_ helper: String) -> [String] {
        [
            "auth_param ntlm program \(helper)", "auth_param ntlm children 2 startup=1 idle=1",
            "auth_param ntlm keep_alive on",
        ]
    }

    private static func start(
        in scenario: Scenario,
        port: UInt16,
        isSecure: Bool,
        folder: String,
        environment: [String: String]
    ) async throws -> Squid {
        // -N runs one process in the foreground. The service name must be unique for each running proxy.
        let process = try scenario.start(
            "squid",
            Program.squid.required(),
            ["-N", "-n", "culvert\(port)", "-f", "\(folder)/squid.conf"],
            environment: environment,
            isKilled: true
        )
        try await waitUntilListening(port, process)
        return Squid(process: process, port: port, isSecure: isSecure, folder: folder, environment: environment)
    }

    /// Starts the proxy again after its process has ended.
    public func restarted(in scenario: Scenario) async throws -> Squid {
        try await Self.start(in: scenario, port: port, isSecure: isSecure, folder: folder, environment: environment)
    }
}
