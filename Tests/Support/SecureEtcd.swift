/// Debian's `etcd` on loopback: one member with TLS, which wants certificates of clients, and with users.
public struct SecureEtcd: Sendable {
    /// The URL for clients.
    public let url: String
    /// The CA of the member and of clients.
    public let authority: String
    /// The certificate of a client.
    public let client: IssuedCertificate
    /// Another one, whose subject has a common name.
    public let namedClient: IssuedCertificate
    /// The user that may read and write below ``prefix``.
    public let user = "culvert"
    /// The user's password.
    public let password: String
    /// What the user's keys begin with.
    public let prefix = "culvert/"
    /// The process.
    public let process: ChildProcess
    private let rootPassword: String
    private let scenario: Scenario

    /// Starts the member, and creates the user.
    public static func start(in scenario: Scenario) async throws -> SecureEtcd {
        let authority = try await IssuedCertificate.make(
            .authority("Culvert test CA"),
            in: scenario,
            named: "etcd-authority"
        )
        let own = try await IssuedCertificate.make(
            .leaf("DNS:localhost,IP:127.0.0.1"),
            by: authority,
            in: scenario,
            named: "etcd-member"
        )
        let client = try await IssuedCertificate.make(
            .leaf("DNS:client"),
            by: authority,
            in: scenario,
            named: "etcd-named-client"
        )
        // With users, the gateway refuses certificates that have a common name.
        var nameless = IssuedCertificate.Properties.leaf("DNS:client")
        nameless.subject = "/O=Culvert"
        let anonymous = try await IssuedCertificate.make(
            nameless,
            by: authority,
            in: scenario,
            named: "etcd-client"
        )
        let (port, peerPort) = (try FreePorts.next(), try FreePorts.next())
        let url = "https://localhost:\(port)"
        let process = try scenario.start(
            "etcd",
            Program.etcd.required(),
            [
                "--data-dir", "\(scenario.directory)/etcd", "--listen-client-urls", "https://127.0.0.1:\(port)",
                "--advertise-client-urls", url, "--listen-peer-urls", "http://127.0.0.1:\(peerPort)",
                "--initial-advertise-peer-urls", "http://127.0.0.1:\(peerPort)",
                "--initial-cluster", "default=http://127.0.0.1:\(peerPort)", "--unsafe-no-fsync",
                "--cert-file", own.certificate, "--key-file", own.key, "--client-cert-auth",
                "--trusted-ca-file", authority.certificate, "--bcrypt-cost", "4", "--logger", "zap",
                "--log-level", "warn", "--heartbeat-interval", "10", "--election-timeout", "100",
            ],
            isKilled: true
        )
        try await waitUntilListening(port, process)
        let random = randomBytes(8).map { "\($0)" }.joined()
        let etcd = SecureEtcd(
            url: url,
            authority: authority.certificate,
            client: anonymous,
            namedClient: client,
            password: "user-\(random)",
            process: process,
            rootPassword: "root-\(random)",
            scenario: scenario
        )
        try await etcd.control(["user", "add", "root:\(etcd.rootPassword)"], asRoot: false)
        try await etcd.control(["user", "grant-role", "root", "root"], asRoot: false)
        try await etcd.control(["role", "add", "culvert"], asRoot: false)
        try await etcd.control(
            ["role", "grant-permission", "--prefix=true", "culvert", "readwrite", etcd.prefix],
            asRoot: false
        )
        try await etcd.control(["user", "add", "\(etcd.user):\(etcd.password)"], asRoot: false)
        try await etcd.control(["user", "grant-role", etcd.user, "culvert"], asRoot: false)
        try await etcd.enableUsers()
        return etcd
    }

    /// Makes users log in.
    public func enableUsers() async throws { try await control(["auth", "enable"], asRoot: false) }

    /// Runs `etcdctl`.
    ///
    /// - Parameter asRoot: whether as the user root, which is needed while users log in.
    public func control(_ arguments: [String], asRoot: Bool = true) async throws {
        let login = asRoot ? ["--user", "root:\(rootPassword)"] : []
        try await scenario.run(
            .etcdctl,
            ["--endpoints", url, "--cacert", authority, "--cert", client.certificate, "--key", client.key] + login
                + arguments
        )
    }
}
