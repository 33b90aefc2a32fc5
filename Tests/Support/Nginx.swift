import Foundation

/// A running nginx on loopback, a master and its worker.
public struct Nginx: Front {
    /// The process.
    public let process: ChildProcess
    /// The port on which it listens.
    public let port: UInt16
    /// Its certificate, and the CA for it; nil without TLS.
    public let certificate: Certificate?
    private let log: String

    /// The access log's lines of WebSocket connections. nginx writes them after the connection has ended.
    public var upgrades: [String] { logLines(log, containing: ["GET /tunnel ", " 101 "]) }

    /// Starts the front of Fixtures/nginx/culvert.conf.
    ///
    /// - Parameter upstream: the server's port.
    public static func front(of upstream: UInt16, in scenario: Scenario) async throws -> Nginx {
        let port = try FreePorts.next()
        let folder = try scenario.folder("nginx-\(port)")
        let certificate = try await Certificate.make(in: scenario).installed(in: folder, of: scenario)
        let site = try Fixture.text(
            "nginx/culvert.conf",
            replacing: [
                ("listen 443 ssl;", "listen 127.0.0.1:\(port) ssl;"),
                ("listen [::]:443 ssl;", ""),
                ("server_name tunnel.example.com;", "server_name localhost;"),
                ("/etc/letsencrypt/live/tunnel.example.com/fullchain.pem", certificate.certificate),
                ("/etc/letsencrypt/live/tunnel.example.com/privkey.pem", certificate.key),
                ("http://127.0.0.1:8080", "http://127.0.0.1:\(upstream)"),
            ]
        )
        return try await start(site, port: port, certificate: certificate, in: scenario)
    }

    /// Reloads as `nginx -s reload` does.
    public func reload(in _: Scenario) {
        process.signal(SIGHUP)
    }

    /// Starts a file service, in which GET reads what PUT has written.
    ///
    /// - Parameters:
    ///   - root: the folder.
    ///   - settings: further directives of the server.
    public static func files(in root: String, of scenario: Scenario, settings: String = "") async throws -> Nginx {
        let port = try FreePorts.next()
        let site = """
            server {
                listen 127.0.0.1:\(port);
                root \(root);
                client_max_body_size 0;
                \(settings)
                location / { dav_methods PUT; }
            }
            """
        return try await start(site, port: port, certificate: nil, in: scenario)
    }

    /// Starts a front that passes neither HTTP/1.1 nor the upgrade on, as nginx by itself does.
    ///
    /// - Parameter upstream: the server's port.
    public static func plain(of upstream: UInt16, in scenario: Scenario) async throws -> Nginx {
        let port = try FreePorts.next()
        let site = """
            server {
                listen 127.0.0.1:\(port);
                location = /tunnel { proxy_pass http://127.0.0.1:\(upstream); }
            }
            """
        return try await start(site, port: port, certificate: nil, in: scenario)
    }

    private static func start(
        _ site: String,
        port: UInt16,
        certificate: Certificate?,
        in scenario: Scenario
    ) async throws -> Nginx {
        let folder = try scenario.folder("nginx-\(port)")
        try scenario.write(site, to: "\(folder)/site.conf")
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map { "\($0)_temp_path \(folder)/\($0);" }
        try scenario.write(
            """
            daemon off;
            pid \(folder)/nginx.pid;
            error_log \(folder)/error.log;
            events { worker_connections 512; }
            http {
                \(temporary.joined(separator: "\n    "))
                access_log \(folder)/access.log;
                include \(folder)/site.conf;
            }

            """,
            to: "\(folder)/nginx.conf"
        )
        let process = try scenario.start(
            "nginx",
            Program.nginx.required(),
            ["-p", folder, "-e", "\(folder)/error.log", "-c", "\(folder)/nginx.conf"]
        )
        try await waitUntilListening(port, process)
        return Nginx(process: process, port: port, certificate: certificate, log: "\(folder)/access.log")
    }
}
