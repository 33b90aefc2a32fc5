import Foundation
import NIOSSL
import TestSupport
import Testing

@testable import TunnelAdmin
@testable import TunnelClient
@testable import TunnelCore

/// The search for the system's CAs, in a folder that represents the root directory.
@Suite("The system's CA certificates")
struct SystemTrustStoreTests {
    /// Generates a CA, and passes its PEM and DER to a closure.
    private func withAuthority(
        _ body: (_ scenario: Scenario, _ pem: String, _ der: [UInt8]) async throws -> Void
    ) async throws {
        try await Scenario.run { scenario in
            let made = try await IssuedCertificate.make(.authority("CA"), in: scenario, named: "ca")
            let pem = try String(contentsOfFile: made.certificate, encoding: .utf8)
            let certificate = try #require(NIOSSLCertificate.fromPEMFile(made.certificate).first)
            try await body(scenario, pem, certificate.toDERBytes())
        }
    }

    private func write(_ text: String, _ path: String) throws {
        let url = URL(fileURLWithPath: path)
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try text.write(to: url, atomically: true, encoding: .utf8)
    }

    @Test("are found at the paths of Debian, Fedora, openSUSE, Alpine and the BSDs")
    func places() async throws {
        try await withAuthority { scenario, pem, der in
            for (number, place) in (SystemTrustStore.files + SystemTrustStore.folders.map { $0 + "/one.pem" })
                .enumerated()
            {
                let root = "\(scenario.directory)/root-\(number)"
                try write(pem, root + place)
                #expect(SystemTrustStore(environment: [:], root: root).certificates() == [der], "\(place)")
            }
            for place in [
                "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
                "/var/lib/ca-certificates/ca-bundle.pem", "/etc/ssl/cert.pem", "/usr/local/share/certs/ca-root-nss.crt",
            ] { #expect(SystemTrustStore.files.contains(place)) }
        }
    }

    @Test("are read despite a malformed certificate or other text in the file")
    func tolerant() async throws {
        try await withAuthority { scenario, pem, der in
            let broken = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"
            let key = "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n"
            let root = "\(scenario.directory)/root"
            try write(
                "# CA f\u{FC}r B\n" + broken + key + pem + "-----BEGIN CERTIFICATE-----\nMI",
                root + SystemTrustStore.files[0]
            )
            #expect(SystemTrustStore(environment: [:], root: root).certificates() == [der])
        }
    }

    @Test("are replaced by SSL_CERT_FILE and SSL_CERT_DIR, each for its own kind")
    func variables() async throws {
        try await withAuthority { scenario, pem, der in
            let other = try await IssuedCertificate.make(.authority("Other"), in: scenario, named: "other")
            let root = "\(scenario.directory)/root"
            try write(String(contentsOfFile: other.certificate, encoding: .utf8), root + SystemTrustStore.files[0])
            let own = "\(scenario.directory)/own/one.crt"
            try write(pem, own)
            func found(_ environment: [String: String]) -> [[UInt8]] {
                SystemTrustStore(environment: environment, root: root).certificates()
            }
            #expect(found(["SSL_CERT_FILE": own]).contains(der), "the system's folder is still read, as in OpenSSL")
            #expect(found(["SSL_CERT_FILE": own, "SSL_CERT_DIR": "/no/such/folder"]) == [der])
            let folders = "/no/such/folder:\(scenario.directory)/own"
            #expect(found(["SSL_CERT_DIR": folders]).contains(der) && found(["SSL_CERT_DIR": folders]).count == 2)
            #expect(found(["SSL_CERT_FILE": "/no/such/file", "SSL_CERT_DIR": "\(scenario.directory)/own"]) == [der])
            #expect(found(["SSL_CERT_FILE": "", "SSL_CERT_DIR": ""]).count == 1, "empty variables count as unset")
            #expect(found(["SSL_CERT_FILE": "/dev/zero", "SSL_CERT_DIR": "/no/such/folder"]).isEmpty)
        }
    }

    @Test("are read again after a certificate was refused for its CA, so an update needs no restart")
    func updated() async throws {
        try await withAuthority { scenario, pem, _ in
            let other = try await IssuedCertificate.make(.authority("Other"), in: scenario, named: "other")
            let root = "\(scenario.directory)/root"
            try write(String(contentsOfFile: other.certificate, encoding: .utf8), root + SystemTrustStore.files[0])
            let verifier = PeerVerifier(TLSTrust(system: SystemTrustStore(environment: [:], root: root)), .server)
            let chain = try NIOSSLCertificate.fromPEMFile("\(scenario.directory)/ca/certificate.pem")
            #expect(await verifier.problem(with: chain, for: nil) == .selfSigned)
            try write(pem, root + SystemTrustStore.files[0])
            #expect(await verifier.problem(with: chain, for: nil) == nil)
        }
    }

    @Test("are not required with --ca, and without any the error names the package and --ca")
    func none() async throws {
        try await withAuthority { scenario, _, _ in
            let empty = SystemTrustStore(environment: [:], root: "\(scenario.directory)/nothing")
            #expect(throws: CertificateProblem.noAuthorities(empty.nothingFound)) {
                try TLSTrust(system: empty).anchors()
            }
            #expect(empty.nothingFound.contains("install the package ca-certificates"))
            #expect(empty.nothingFound.contains("--ca FILE"))
            let named = SystemTrustStore(
                environment: ["SSL_CERT_FILE": "/no/such"],
                root: "\(scenario.directory)/nothing"
            )
            #expect(named.nothingFound.contains("SSL_CERT_FILE names /no/such"))
            let given = try NIOSSLCertificate.fromPEMFile("\(scenario.directory)/ca/certificate.pem")
            #expect(try !TLSTrust(authorities: given, system: empty).anchors().isEmpty)
        }
    }
}
