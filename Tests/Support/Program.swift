import Foundation

/// A program of the system that the tests start.
public struct Program: Sendable, CustomStringConvertible {
    /// Its name in the path.
    public let name: String
    /// The Debian package of the program.
    public let package: String

    /// A caching proxy that demands passwords.
    public static let squid = Program(name: "squid", package: "squid-openssl")
    /// Squid's helper for Basic authentication.
    public static let squidBasic = Program(name: "basic_ncsa_auth", package: "squid-openssl")
    /// Squid's helper for Digest.
    public static let squidDigest = Program(name: "digest_file_auth", package: "squid-openssl")
    /// Squid's helper that goes through the legs of NTLM and takes any password.
    public static let squidFakeNTLM = Program(name: "ntlm_fake_auth", package: "squid-openssl")
    /// Squid's helper for Negotiate with Kerberos.
    public static let squidNegotiate = Program(name: "negotiate_kerberos_auth", package: "squid-openssl")
    /// Samba's helper for NTLM, which verifies the answer.
    public static let ntlmAuth = Program(name: "ntlm_auth", package: "winbind")
    /// A Kerberos server.
    public static let kdc = Program(name: "krb5kdc", package: "krb5-kdc")
    /// Makes the database of a Kerberos server.
    public static let kdb5Util = Program(name: "kdb5_util", package: "krb5-kdc")
    /// Makes its principals and keytabs.
    public static let kadmin = Program(name: "kadmin.local", package: "krb5-admin-server")
    /// Gets a Kerberos ticket.
    public static let kinit = Program(name: "kinit", package: "krb5-user")
    /// A small SOCKS 5 proxy.
    public static let microsocks = Program(name: "microsocks", package: "microsocks")
    /// A small proxy.
    public static let tinyproxy = Program(name: "tinyproxy", package: "tinyproxy")
    /// The usual front.
    public static let nginx = Program(name: "nginx", package: "nginx")
    /// A front that balances loads.
    public static let haproxy = Program(name: "haproxy", package: "haproxy")
    /// A front that gets its certificates by itself.
    public static let caddy = Program(name: "caddy", package: "caddy")
    /// Apache httpd.
    public static let apache = Program(name: "apache2", package: "apache2")
    /// The usual visitor.
    public static let curl = Program(name: "curl", package: "curl")
    /// Makes certificates and password hashes.
    public static let openssl = Program(name: "openssl", package: "openssl")
    /// A server of ssh.
    public static let sshd = Program(name: "sshd", package: "openssh-server")
    /// Its client.
    public static let ssh = Program(name: "ssh", package: "openssh-client")
    /// Makes its keys.
    public static let sshKeygen = Program(name: "ssh-keygen", package: "openssh-client")
    /// Starts a program as another user.
    public static let setpriv = Program(name: "setpriv", package: "util-linux")
    /// Starts a program with a view of the files of its own.
    public static let unshare = Program(name: "unshare", package: "util-linux")
    /// Reads units.
    public static let systemdAnalyze = Program(name: "systemd-analyze", package: "systemd")
    /// Opens sockets for others.
    public static let python = Program(name: "python3", package: "python3")

    /// Folders of daemons and helpers, which are often only in root's path, or in no path.
    private static let furtherFolders = [
        "/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin", "/usr/lib/squid",
        "/usr/lib64/squid", "/usr/libexec/squid", "/opt/homebrew/bin", "/opt/homebrew/libexec",
    ]

    /// Where it is; nil where it is not installed.
    public var path: String? {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map(String.init)
        return (folders + Self.furtherFolders).map { "\($0)/\(name)" }.first {
            FileManager.default.isExecutableFile(atPath: $0)
        }
    }

    /// The path of the socket.
    public func required() throws -> String {
        guard let path else {
            throw ScenarioFailure(description: "\(name) is not installed: apt-get install \(package)")
        }
        return path
    }

    /// The name.
    public var description: String { name }
}
