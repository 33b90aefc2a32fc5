/// A running Squid on loopback: nothing cached, nothing but CONNECT of interest, with its own access log.
public struct Squid: Sendable {
    /// The process.
    public let process: ChildProcess
    /// Where it listens.
    public let port: UInt16
    private let configuration: String
    private let log: String

    /// For `--proxy`.
    public var url: String { "http://127.0.0.1:\(port)" }

    /// The access log's lines of CONNECTs to a port. Squid writes one when the tunnel has ended.
    public func connects(to target: UInt16) -> [String] {
        logLines(log, containing: ["CONNECT", ":\(target) "])
    }

    /// Starts it.
    ///
    /// - Parameters:
    ///   - user: whose Basic credentials it demands, with `password`; nil for an open proxy.
    ///   - port: nil for a free one.
    public static func start(
        in scenario: Scenario,
        user: String? = nil,
        password: String = "",
        port: UInt16? = nil
    ) async throws -> Squid {
        let port = try port ?? FreePorts.next()
        let folder = try scenario.folder("squid-\(port)")
        var access = "http_access allow all"
        if let user {
            let hash = try await scenario.run(.openssl, ["passwd", "-apr1", password])
            try scenario.write("\(user):\(hash)\n", to: "\(folder)/users")
            access = """
                auth_param basic program \(try Program.squidBasic.required()) \(folder)/users
                auth_param basic children 2 startup=1 idle=1
                auth_param basic realm culvert
                acl known proxy_auth REQUIRED
                http_access allow known
                http_access deny all
                """
        }
        try scenario.write(
            """
            http_port 127.0.0.1:\(port)
            \(access)
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
        return try await start(in: scenario, port: port, folder: folder)
    }

    private static func start(in scenario: Scenario, port: UInt16, folder: String) async throws -> Squid {
        let configuration = "\(folder)/squid.conf"
        // -N: in the foreground, one process. The service name sets two at the same time apart.
        let process = try scenario.start(
            "squid",
            Program.squid.required(),
            ["-N", "-n", "culvert\(port)", "-f", configuration]
        )
        try await listens(port, process)
        return Squid(process: process, port: port, configuration: configuration, log: "\(folder)/access.log")
    }

    /// Starts it again as it was, after its process has been ended.
    public func again(in scenario: Scenario) async throws -> Squid {
        try await Self.start(in: scenario, port: port, folder: String(configuration.dropLast("/squid.conf".count)))
    }
}
