import Foundation
import NIOSSL
import Testing
import Tunnel

@testable import culvert

/// The forms of certificates and keys in files. Handshakes in EndToEndTests show that they work.
@Suite("Files of certificates")
struct TLSFilesTests {
    /// A CA's certificate in DER.
    static let der = [UInt8](
        Data(
            base64Encoded: """
                MIIBizCCATGgAwIBAgIUUOS3Po1+Oq0mLxCfaz7+P6wmQX8wCgYIKoZIzj0EAwIwGjEYMBYGA1UEAwwPQ3VsdmVydCB0ZXN0IENBMCAXDTI2
                MTEyMjE5MjQyNFoYDzIxMjYxMDI5MTkyNDI0WjAaMRgwFgYDVQQDDA9DdWx2ZXJ0IHRlc3QgQ0EwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
                AARYY+PfgSdT3PhfzQEQftdNP6dtCkbxXZzEpjQASgxlKLQCHfex5k2b9pZCFkFHsz9wCYpG9m+R/d53xfXN7EhYo1MwUTAdBgNVHQ4EFgQU
                ZxYWr5bKHu4wfnPRyfgQQWHsJhMwHwYDVR0jBBgwFoAUZxYWr5bKHu4wfnPRyfgQQWHsJhMwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQD
                AgNIADBFAiAJ2GrhLIRC+JoKyYRosQe3T6FydzBdT9F29yddpF8cmwIhAJupxsLjYqMBRPqnyvxuYd139OQLsfeWI7MEYloCMfK1
                """,
            options: .ignoreUnknownCharacters
        ) ?? Data()
    )
    static let pem: [UInt8] = {
        let lines = Data(der).base64EncodedString(options: [.lineLength64Characters, .endLineWithLineFeed])
        return Array("-----BEGIN CERTIFICATE-----\n\(lines)\n-----END CERTIFICATE-----\n".utf8)
    }()

    struct Row: Sendable, CustomTestStringConvertible {
        let name: String
        let bytes: [UInt8]
        /// The error, with F for the file's name; nil if the file is accepted.
        var problem: String?

        init(_ name: String, _ bytes: [UInt8], _ problem: String? = nil) {
            (self.name, self.bytes, self.problem) = (name, bytes, problem)
        }

        var testDescription: String { name }
    }

    /// Writes a file, gives its path to the body, and removes it.
    private func with(_ bytes: [UInt8], _ body: (String) throws -> Void) throws {
        let path = NSTemporaryDirectory() + "culvert-\(UUID().uuidString)"
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        try body(path)
    }

    private func outcome(_ body: () throws -> Void) -> Failure? {
        do {
            try body()
            return nil
        } catch {
            return Failure(error)
        }
    }

    @Test(
        "a certificate is read from PEM or DER, with any text around it, and an error names the file",
        arguments: [
            Row("PEM", pem),
            Row("DER", der),
            Row("two in PEM", pem + pem),
            Row("PEM behind a comment in Latin-1", Array("# Zertifikat f".utf8) + [0xFC] + Array("r B\n".utf8) + pem),
            Row("PEM with CR LF", Array(String(decoding: pem, as: UTF8.self).replacing("\n", with: "\r\n").utf8)),
            Row("nothing", [], "no certificate in F"),
            Row("text", Array("there is none here\n".utf8), "no certificate in F"),
            Row("half of DER", Array(der.prefix(200)), "no certificate in F"),
            Row(
                "a key",
                Array("-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n".utf8),
                "no certificate in F"
            ),
            Row("half of PEM", Array(pem.prefix(200)), "a certificate in F cannot be read as PEM"),
            Row("a second one that is broken", pem + pem.prefix(200), "a certificate in F cannot be read as PEM"),
        ]
    )
    func certificates(_ row: Row) throws {
        try with(row.bytes) { path in
            let failures = [
                outcome { _ = try TLSFiles.trust(authorities: [path], only: false) },
                outcome { _ = try TLSFiles.server(certificate: path, key: "/no/such/key") },
                outcome {
                    _ = try TLSFiles.identified(.tunnelClient(), certificate: path, key: "/no/such/key", flags: "")
                },
            ]
            guard let problem = row.problem?.replacing("F", with: path) else {
                #expect(failures[0] == nil, "\(String(describing: failures[0]))")
                for failure in failures.dropFirst() {
                    #expect(failure?.status == .configuration && failure?.description.contains("/no/such/key") == true)
                }
                return
            }
            for failure in failures {
                #expect(failure?.status == .badData)
                #expect(failure?.description.hasPrefix(problem) == true, "\(String(describing: failure))")
            }
        }
    }

    @Test("a key that cannot be read is bad data and names its file, not the certificate's")
    func keys() throws {
        let broken = Array("-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n".utf8)
        try with(Self.pem) { certificate in
            for (bytes, problem) in [
                ([], "no key in F, neither in PEM nor in DER"), (Self.der, "no key in F, neither in PEM nor in DER"),
                (Self.pem, "no key in F"), (broken, "the key in F cannot be read as PEM"),
            ] as [([UInt8], String)] {
                try with(bytes) { key in
                    let failure = outcome { _ = try TLSFiles.server(certificate: certificate, key: key) }
                    #expect(failure?.status == .badData)
                    #expect(
                        failure?.description.hasPrefix(problem.replacing("F", with: key)) == true,
                        "\(String(describing: failure))"
                    )
                    #expect(failure?.description.contains(certificate) == false)
                }
            }
        }
    }
}
