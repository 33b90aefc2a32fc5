/// A Kerberos realm of one test: a KDC on loopback, with its files in the scenario's folder.
public struct KerberosRealm: Sendable {
    /// Its name.
    public static let name = "CULVERT.TEST"
    /// The KDC.
    public let process: ChildProcess
    /// The environment of a service.
    public let environment: [String: String]
    private let folder: String

    /// The keytab of the service HTTP/localhost.
    public var serviceKeytab: String { "\(folder)/HTTP-localhost.keytab" }

    /// Starts a realm with `user` and the service HTTP/localhost, both with random keys.
    public static func start(in scenario: Scenario, user: String) async throws -> KerberosRealm {
        let port = try FreePorts.next()
        let folder = try scenario.folder("realm-\(port)")
        try scenario.write(
            """
            [libdefaults]
                default_realm = \(name)
                dns_lookup_realm = false
                dns_lookup_kdc = false
                dns_canonicalize_hostname = false
                rdns = false
                udp_preference_limit = 1
            [realms]
                \(name) = {
                    kdc = 127.0.0.1:\(port)
                }
            [domain_realm]
                localhost = \(name)

            """,
            to: "\(folder)/krb5.conf"
        )
        try scenario.write(
            """
            [kdcdefaults]
                kdc_listen = 127.0.0.1:\(port)
                kdc_tcp_listen = 127.0.0.1:\(port)
            [realms]
                \(name) = {
                    database_name = \(folder)/principal
                    key_stash_file = \(folder)/stash
                    acl_file = \(folder)/acl
                    supported_enctypes = aes256-cts:normal
                }
            [logging]
                kdc = FILE:\(folder)/kdc.log
                admin_server = FILE:\(folder)/kadmin.log

            """,
            to: "\(folder)/kdc.conf"
        )
        let environment = ["KRB5_CONFIG": "\(folder)/krb5.conf", "KRB5_KDC_PROFILE": "\(folder)/kdc.conf"]
        try await scenario.run(
            .kdb5Util,
            ["-r", name, "create", "-s", "-P", "only-for-this-test"],
            environment: environment
        )
        for principal in [user, "HTTP/localhost"] {
            let keytab = "\(folder)/\(principal.replacing("/", with: "-")).keytab"
            for query in ["addprinc -randkey \(principal)", "ktadd -k \(keytab) \(principal)"] {
                try await scenario.run(.kadmin, ["-r", name, "-q", query], environment: environment)
            }
            try scenario.makeReadable(keytab)
        }
        let process = try scenario.start(
            "kdc",
            Program.kdc.required(),
            ["-n", "-r", name, "-P", "\(folder)/kdc.pid"],
            environment: environment
        )
        try await waitUntilListening(port, process)
        // A replay cache would be in a folder that all services of the machine share, so it is disabled.
        return KerberosRealm(
            process: process,
            environment: ["KRB5_CONFIG": "\(folder)/krb5.conf", "KRB5RCACHENAME": "none:"],
            folder: folder
        )
    }

    /// The environment of a program whose user has no ticket.
    public var withoutTicket: [String: String] {
        ["KRB5_CONFIG": "\(folder)/krb5.conf", "KRB5CCNAME": "FILE:\(folder)/no-such-cache"]
    }

    /// The environment of a program with a client keytab of `user`.
    public func withKeytab(of user: String) -> [String: String] {
        withoutTicket.merging([
            "KRB5_CLIENT_KTNAME": "FILE:\(folder)/\(user).keytab", "KRB5CCNAME": "FILE:\(folder)/\(user)-own.cache",
        ]) { $1 }
    }

    /// Gets a ticket for `user`.
    ///
    /// - Returns: the environment of a program whose user has the ticket.
    public func withTicket(of user: String, in scenario: Scenario) async throws -> [String: String] {
        let environment = withoutTicket.merging(["KRB5CCNAME": "FILE:\(folder)/\(user).cache"]) { $1 }
        try await scenario.run(
            .kinit,
            ["-k", "-t", "\(folder)/\(user).keytab", "\(user)@\(Self.name)"],
            environment: environment
        )
        return environment
    }
}
