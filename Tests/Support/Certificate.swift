/// A generated certificate, for `localhost` and 127.0.0.1 by default, and its CA.
public struct Certificate: Sendable {
    /// The CA's certificate, for `--ca`.
    public let authority: String
    /// The certificate.
    public let certificate: String
    /// Its private key.
    public let key: String

    /// Generates a CA, a key and a certificate.
    ///
    /// - Parameters:
    ///   - names: the names of the certificate; nil for the common name `localhost` alone.
    ///   - days: the days of validity; negative for an expired certificate.
    ///   - issuer: the name of the CA and of its folder.
    public static func make(
        in scenario: Scenario,
        for names: String? = "DNS:localhost,IP:127.0.0.1",
        days: Int = 2,
        issuer: String = "Culvert test CA"
    ) async throws -> Certificate {
        let folder = try scenario.folder(issuer.replacing(" ", with: "-"))
        let made = Certificate(
            authority: "\(folder)/ca.pem",
            certificate: "\(folder)/localhost.pem",
            key: "\(folder)/localhost.key"
        )
        let newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        try await scenario.run(
            .openssl,
            ["req", "-x509"] + newKey + [
                "-keyout", "\(folder)/ca.key", "-out", made.authority, "-days", "2", "-subj", "/CN=\(issuer)",
                "-addext", "keyUsage=critical,keyCertSign",
            ]
        )
        try await scenario.run(
            .openssl,
            ["req"] + newKey + ["-keyout", made.key, "-out", "\(folder)/localhost.csr", "-subj", "/CN=localhost"]
        )
        try scenario.write(
            (names.map { "subjectAltName=\($0)\n" } ?? "") + "basicConstraints=CA:FALSE\n",
            to: "\(folder)/extensions"
        )
        try await scenario.run(
            .openssl,
            [
                "x509", "-req", "-in", "\(folder)/localhost.csr", "-CA", made.authority, "-CAkey", "\(folder)/ca.key",
                "-CAcreateserial", "-out", made.certificate, "-days", "\(days)", "-extfile", "\(folder)/extensions",
            ]
        )
        return made
    }
}
