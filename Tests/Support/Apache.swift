import Foundation

/// A running Apache httpd on loopback with Debian's processing module: a parent, and children with threads.
public struct Apache: Front {
    /// The process.
    public let process: ChildProcess
    /// The port on which it listens.
    public let port: UInt16
    /// Its certificate, and the CA for it.
    public let certificate: Certificate?
    private let folder: String

    /// The access log's lines of WebSocket connections.
    public var upgrades: [String] { logLines("\(folder)/access.log", containing: ["GET /tunnel ", " 101 "]) }

    /// The modules of Debian's default that affect requests, and those that the fixture needs.
    private static let modules = [
        "mpm_event", "authz_core", "mime", "dir", "reqtimeout", "socache_shmcb", "ssl", "proxy", "proxy_http",
        "proxy_wstunnel",
    ]

    /// Starts the front of Fixtures/apache/culvert.conf.
    ///
    /// - Parameter upstream: the server's port.
    public static func front(of upstream: UInt16, in scenario: Scenario) async throws -> Apache {
        let port = try FreePorts.next()
        let folder = try scenario.folder("apache-\(port)")
        let certificate = try await Certificate.make(in: scenario).installed(in: folder, of: scenario)
        let site = try Fixture.text(
            "apache/culvert.conf",
            replacing: [
                ("<VirtualHost *:443>", "<VirtualHost 127.0.0.1:\(port)>"),
                ("ServerName tunnel.example.com", "ServerName localhost"),
                ("DocumentRoot /var/www/html", "DocumentRoot \(scenario.folder("apache-\(port)/html"))"),
                ("/etc/letsencrypt/live/tunnel.example.com/fullchain.pem", certificate.certificate),
                ("/etc/letsencrypt/live/tunnel.example.com/privkey.pem", certificate.key),
                ("http://127.0.0.1:8080/", "http://127.0.0.1:\(upstream)/"),
            ]
        )
        try scenario.write(site, to: "\(folder)/culvert.conf")
        let installed = ["/usr/lib/apache2/modules", "/usr/lib64/httpd/modules", "/usr/libexec/apache2"]
        guard let library = installed.first(where: { FileManager.default.fileExists(atPath: $0) }) else {
            throw ScenarioFailure(description: "Apache's modules are in none of \(installed)")
        }
        // Children of a root process need another user, and the user nobody exists on every system.
        let user = geteuid() == 0 ? "User nobody\nGroup #65534" : ""
        try scenario.write(
            """
            ServerRoot \(folder)
            ServerName localhost
            \(modules.map { "LoadModule \($0)_module \(library)/mod_\($0).so" }.joined(separator: "\n"))
            Listen 127.0.0.1:\(port)
            PidFile \(folder)/pid
            DefaultRuntimeDir \(folder)
            TypesConfig /dev/null
            \(user)
            ErrorLog \(folder)/error.log
            LogFormat "%h \\"%r\\" %>s %b" short
            CustomLog \(folder)/access.log short
            # As in Debian's reqtimeout.conf.
            RequestReadTimeout header=20-40,minrate=500
            RequestReadTimeout body=10,minrate=500
            Include \(folder)/culvert.conf

            """,
            to: "\(folder)/apache.conf"
        )
        let process = try scenario.start(
            "apache",
            Program.apache.required(),
            ["-D", "FOREGROUND", "-f", "\(folder)/apache.conf"]
        )
        try await waitUntilListening(port, process)
        return Apache(process: process, port: port, certificate: certificate, folder: folder)
    }

    /// Reloads as `apachectl graceful` does.
    public func reload(in _: Scenario) {
        process.signal(SIGUSR1)
    }
}
