import Foundation

/// A program of the system that the tests start.
public struct Program: Sendable, CustomStringConvertible {
    /// Its name in the path.
    public let name: String
    /// What a person installs to have it, on Debian.
    public let package: String

    /// A caching proxy that demands passwords.
    public static let squid = Program(name: "squid", package: "squid-openssl")
    /// Squid's helper for Basic authentication.
    public static let squidBasic = Program(name: "basic_ncsa_auth", package: "squid-openssl")
    /// A small proxy.
    public static let tinyproxy = Program(name: "tinyproxy", package: "tinyproxy")
    /// The usual front.
    public static let nginx = Program(name: "nginx", package: "nginx")
    /// The usual visitor.
    public static let curl = Program(name: "curl", package: "curl")
    /// Makes certificates and password hashes.
    public static let openssl = Program(name: "openssl", package: "openssl")

    /// Daemons and helpers stand in folders that are often in root's path only, or in nobody's.
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

    /// Where it is.
    public func required() throws -> String {
        guard let path else {
            throw Disappointment(description: "\(name) is not installed: apt-get install \(package)")
        }
        return path
    }

    /// The name.
    public var description: String { name }
}
