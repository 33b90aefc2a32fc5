import Foundation

/// A program of the system that the tests start.
public struct Program: Sendable, CustomStringConvertible {
    /// Its name in the path.
    public let name: String
    /// The Debian package of the program.
    public let package: String

    /// A caching proxy with authentication.
    public static let squid = Program(name: "squid", package: "squid-openssl")
    /// Squid's helper that makes certificates.
    public static let squidCertificates = Program(name: "security_file_certgen", package: "squid-openssl")
    /// Changes rights of files.
    public static let chmod = Program(name: "chmod", package: "coreutils")
    /// Squid's helper for Basic authentication.
    public static let squidBasic = Program(name: "basic_ncsa_auth", package: "squid-openssl")
    /// Squid's helper for Digest.
    public static let squidDigest = Program(name: "digest_file_auth", package: "squid-openssl")
    /// Squid's helper for NTLM that accepts any password.
    public static let squidFakeNTLM = Program(name: "ntlm_fake_auth", package: "squid-openssl")
    /// Squid's helper for Negotiate with Kerberos.
    public static let squidNegotiate = Program(name: "negotiate_kerberos_auth", package: "squid-openssl")
    /// Samba's helper for NTLM, which verifies the response.
    public static let ntlmAuth = Program(name: "ntlm_auth", package: "winbind")
    /// A Kerberos server.
    public static let kdc = Program(name: "krb5kdc", package: "krb5-kdc")
    /// Creates the database of a Kerberos server.
    public static let kdb5Util = Program(name: "kdb5_util", package: "krb5-kdc")
    /// Creates principals and keytabs.
    public static let kadmin = Program(name: "kadmin.local", package: "krb5-admin-server")
    /// Gets a Kerberos ticket.
    public static let kinit = Program(name: "kinit", package: "krb5-user")
    /// A small SOCKS 5 proxy.
    public static let microsocks = Program(name: "microsocks", package: "microsocks")
    /// A small proxy.
    public static let tinyproxy = Program(name: "tinyproxy", package: "tinyproxy")
    /// A web server, the most common front.
    public static let nginx = Program(name: "nginx", package: "nginx")
    /// A load balancer.
    public static let haproxy = Program(name: "haproxy", package: "haproxy")
    /// A web server that gets its certificates by itself.
    public static let caddy = Program(name: "caddy", package: "caddy")
    /// Apache httpd.
    public static let apache = Program(name: "apache2", package: "apache2")
    /// Tries a fail2ban filter on a log.
    public static let failRegex = Program(name: "fail2ban-regex", package: "fail2ban")
    /// An HTTP client, for visitors.
    public static let curl = Program(name: "curl", package: "curl")
    /// Generates certificates and password hashes.
    public static let openssl = Program(name: "openssl", package: "openssl")
    /// The SSH server.
    public static let sshd = Program(name: "sshd", package: "openssh-server")
    /// The SSH client.
    public static let ssh = Program(name: "ssh", package: "openssh-client")
    /// Generates SSH keys.
    public static let sshKeygen = Program(name: "ssh-keygen", package: "openssh-client")
    /// A database server.
    public static let postgres = Program(name: "postgres", package: "postgresql")
    /// Creates an empty database.
    public static let initdb = Program(name: "initdb", package: "postgresql")
    /// A client of the database server.
    public static let psql = Program(name: "psql", package: "postgresql-client")
    /// Writes the content of a database as text.
    public static let pgDump = Program(name: "pg_dump", package: "postgresql-client")
    /// Copies files by ssh.
    public static let scp = Program(name: "scp", package: "openssh-client")
    /// An HTTP/3 client.
    public static let quicClient = Program(name: "gtlsclient", package: "ngtcp2-client")
    /// An HTTP/3 server.
    public static let quicServer = Program(name: "gtlsserver", package: "ngtcp2-server")
    /// A relay for one kind of socket to another.
    public static let socat = Program(name: "socat", package: "socat")
    /// Measures the throughput of a network.
    public static let iperf = Program(name: "iperf3", package: "iperf3")
    /// A resolver.
    public static let dnsmasq = Program(name: "dnsmasq", package: "dnsmasq-base")
    /// Looks names up at a resolver.
    public static let dig = Program(name: "dig", package: "bind9-dnsutils")
    /// Starts a program with another user or other capabilities.
    public static let setpriv = Program(name: "setpriv", package: "util-linux")
    /// Starts a program in its own mount namespace.
    public static let unshare = Program(name: "unshare", package: "util-linux")
    /// Starts a program in another program's namespaces.
    public static let nsenter = Program(name: "nsenter", package: "util-linux")
    /// Drops packets.
    public static let nft = Program(name: "nft", package: "nftables")
    /// Sets routes.
    public static let ip = Program(name: "ip", package: "iproute2")
    /// Checks units.
    public static let systemdAnalyze = Program(name: "systemd-analyze", package: "systemd")
    /// A browser.
    public static let chromium = Program(name: "chromium", package: "chromium")
    /// Loads a web server over HTTP/1.1 and HTTP/2.
    public static let h2load = Program(name: "h2load", package: "nghttp2-client")
    /// Loads a web server over HTTP/1.1.
    public static let wrk = Program(name: "wrk", package: "wrk")
    /// Checks rules of Prometheus.
    public static let promtool = Program(name: "promtool", package: "prometheus")
    /// A store for clusters.
    public static let etcd = Program(name: "etcd", package: "etcd-server")
    /// A client of the store.
    public static let etcdctl = Program(name: "etcdctl", package: "etcd-client")
    /// Checks manual pages.
    public static let mandoc = Program(name: "mandoc", package: "mandoc")
    /// Opens sockets that a program inherits.
    public static let python = Program(name: "python3", package: "python3")

    /// A CA for tests of ACME.
    public static let pebble = Program(name: "pebble", package: "pebble")
    /// A name server that answers every name with loopback, for the CA.
    public static let pebbleNames = Program(name: "pebble-challtestsrv", package: "pebble")

    /// Folders of daemons and helpers, which are often only in the path of root, or in no path.
    private static let furtherFolders = [
        "/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin", "/usr/lib/squid",
        "/usr/lib64/squid", "/usr/libexec/squid", "/opt/homebrew/bin", "/opt/homebrew/libexec",
    ]

    /// The folders of PostgreSQL, one for each version.
    private static var databaseFolders: [String] {
        let root = "/usr/lib/postgresql"
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
        return versions.sorted().map { "\(root)/\($0)/bin" }
    }

    /// The path of the program; nil if it is not installed.
    public var path: String? {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map(String.init)
        return (folders + Self.furtherFolders + Self.databaseFolders).map { "\($0)/\(name)" }.first {
            FileManager.default.isExecutableFile(atPath: $0)
        }
    }

    /// The path of the program. Throws if it is not installed.
    public func required() throws -> String {
        guard let path else {
            throw ScenarioFailure(description: "\(name) is not installed: apt-get install \(package)")
        }
        return path
    }

    /// The name.
    public var description: String { name }
}
