import NIOSSL
import Platform

/// The system's CAs: where `SSL_CERT_FILE` and `SSL_CERT_DIR` say, else at the places that systems keep them.
///
/// As in OpenSSL each variable replaces its own kind of place. The folders of the system are looked into only where no
/// file was found, or where `SSL_CERT_FILE` names another one.
public struct SystemTrustStore: Sendable {
    /// Bundles: Debian, Ubuntu, Arch, Alpine; Fedora, RHEL; openSUSE; Alpine, macOS, OpenBSD; FreeBSD; NetBSD.
    package static let files = [
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem",
        "/var/lib/ca-certificates/ca-bundle.pem",
        "/etc/pki/tls/cacert.pem",
        "/etc/ssl/cert.pem",
        "/usr/local/etc/ssl/cert.pem",
        "/usr/local/share/certs/ca-root-nss.crt",
        "/etc/openssl/certs/ca-certificates.crt",
    ]
    /// Folders with one certificate a file: Linux; Fedora; openSUSE; FreeBSD; NetBSD.
    package static let folders = [
        "/etc/ssl/certs", "/etc/pki/tls/certs", "/var/lib/ca-certificates/pem", "/usr/share/certs/trusted",
        "/usr/local/share/certs", "/etc/openssl/certs",
    ]
    /// Longer than any bundle.
    package static let maximumLength = 16_777_216
    /// More files than a store has.
    package static let maximumFiles = 4_096

    private let environment: [String: String]
    private let root: String

    /// - Parameters:
    ///   - environment: the process's, for the two variables.
    ///   - root: what stands before the system's places; a test's folder.
    public init(environment: [String: String] = Self.variables, root: String = "") {
        self.environment = environment.filter { !$0.value.isEmpty }
        self.root = root
    }

    /// The two variables as the process has them.
    public static var variables: [String: String] {
        var result: [String: String] = [:]
        for name in ["SSL_CERT_FILE", "SSL_CERT_DIR"] {
            if let value = getenv(name) { result[name] = String(cString: value) }
        }
        return result
    }

    /// All certificates, as DER; none if there is no store.
    package func certificates() -> [[UInt8]] {
        let named = environment["SSL_CERT_FILE"]
        var found: [[UInt8]] = []
        for file in named.map({ [$0] }) ?? Self.files.map({ root + $0 }) {
            found = Self.certificates(inFile: file)
            if !found.isEmpty { break }
        }
        if let folders = environment["SSL_CERT_DIR"] {
            for folder in folders.split(separator: ":") { found += Self.certificates(inFolder: String(folder)) }
        } else if named != nil || found.isEmpty {
            for folder in Self.folders.map({ root + $0 }) {
                let more = Self.certificates(inFolder: folder)
                found += more
                if !more.isEmpty { break }
            }
        }
        return found
    }

    /// The error text if there is no store.
    package var nothingFound: String {
        let places = ["SSL_CERT_FILE", "SSL_CERT_DIR"].compactMap { name in
            environment[name].map { "\(name) names \($0.escapedForDisplay(limit: 200))" }
        }
        let looked = places.isEmpty ? "" : " (\(places.joined(separator: ", ")))"
        return "this machine has no CA certificates to verify others with\(looked); install the package "
            + "ca-certificates, or give the CA of the server with --ca FILE"
    }

    private static func certificates(inFolder path: String) -> [[UInt8]] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder), names.count < maximumFiles {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: pointer.pointee)) {
                    String(cString: $0)
                }
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        // A certificate may be there under two names, its own and its hash.
        var found: Set<[UInt8]> = []
        for name in names.sorted() { found.formUnion(certificates(inFile: "\(path)/\(name)")) }
        return Array(found)
    }

    /// The certificates in a folder and in the folders directly in it, as DER.
    static func certificates(below path: String) -> [[UInt8]] {
        var found = certificates(inFolder: path)
        guard let folder = opendir(path) else { return found }
        defer { closedir(folder) }
        var count = 0
        while let entry = readdir(folder), count < maximumFiles {
            count += 1
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: pointer.pointee)) {
                    String(cString: $0)
                }
            }
            if !name.hasPrefix(".") { found += certificates(inFolder: "\(path)/\(name)") }
        }
        return found
    }

    private static func certificates(inFile path: String) -> [[UInt8]] {
        guard let bytes = contents(path) else { return [] }
        return PEMBlocks.certificates(bytes).compactMap { block in
            try? NIOSSLCertificate(bytes: block, format: .pem).toDERBytes()
        }
    }

    /// The bytes of a regular file; nil for anything else, since a pipe might never end.
    private static func contents(_ path: String) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_size <= maximumLength
        else {
            return nil
        }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 65_536)
        while bytes.count <= maximumLength {
            let count = piece.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else { return count == 0 ? bytes : nil }
            bytes += piece[..<count]
        }
        return nil
    }
}

/// The certificates of a PEM file, one by one, so that one that cannot be read takes no other with it.
package enum PEMBlocks {
    private static let begin = Array("-----BEGIN CERTIFICATE-----".utf8)
    private static let end = Array("-----END CERTIFICATE-----".utf8)

    /// Each certificate with its two boundary lines.
    package static func certificates(_ bytes: [UInt8]) -> [[UInt8]] {
        var blocks: [[UInt8]] = []
        var rest = bytes[...]
        while let start = rest.firstRange(of: begin), let stop = rest[start.upperBound...].firstRange(of: end) {
            blocks.append(Array(rest[start.lowerBound..<stop.upperBound]) + [UInt8(ascii: "\n")])
            rest = rest[stop.upperBound...]
        }
        return blocks
    }
}
