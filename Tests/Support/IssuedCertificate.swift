/// A generated certificate with its key. It can issue others.
public struct IssuedCertificate: Sendable {
    /// The certificate, PEM.
    public let certificate: String
    /// Its private key, PEM.
    public let key: String

    /// The properties of a certificate.
    public struct Properties: Sendable {
        /// The subject in openssl's form.
        public var subject: String
        /// Lines of an extension section.
        public var extensions: [String]
        /// The days of validity; negative for an expired certificate.
        public var days = 2
        /// The arguments of `openssl genpkey`.
        public var key = Self.p256

        /// P-256.
        public static let p256 = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
        /// P-521.
        public static let p521 = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"]
        /// Ed25519.
        public static let ed25519 = ["-algorithm", "ED25519"]
        /// RSA with 2,048 bits.
        public static let rsa = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]

        /// - Parameter common: the subject's common name.
        public init(_ common: String, _ extensions: [String], days: Int = 2, key: [String] = Self.p256) {
            subject = "/CN=\(common)"
            self.extensions = extensions
            self.days = days
            self.key = key
        }

        /// A CA.
        public static func authority(
            _ common: String,
            days: Int = 2,
            key: [String] = Self.p256,
            _ more: [String] = ["keyUsage=critical,keyCertSign,cRLSign"]
        ) -> Properties {
            Properties(common, ["basicConstraints=critical,CA:TRUE"] + more, days: days, key: key)
        }

        /// A certificate for names in openssl's form: `DNS:localhost,IP:127.0.0.1`.
        public static func leaf(
            _ names: String,
            days: Int = 2,
            key: [String] = Self.p256,
            _ more: [String] = []
        ) -> Properties {
            Properties(
                "localhost",
                ["subjectAltName=\(names)", "basicConstraints=CA:FALSE"] + more,
                days: days,
                key: key
            )
        }
    }

    /// Generates a certificate in its own folder.
    ///
    /// - Parameters:
    ///   - issuer: the signing certificate; nil for a self-signed one.
    ///   - sibling: the certificate whose key it has; nil for a new key.
    ///   - options: further arguments of openssl for the signature.
    public static func make(
        _ properties: Properties,
        by issuer: IssuedCertificate? = nil,
        keyOf sibling: IssuedCertificate? = nil,
        signing options: [String] = [],
        in scenario: Scenario,
        named name: String
    ) async throws -> IssuedCertificate {
        let folder = try scenario.folder(name)
        let made = IssuedCertificate(certificate: "\(folder)/certificate.pem", key: sibling?.key ?? "\(folder)/key.pem")
        if sibling == nil { try await scenario.run(.openssl, ["genpkey", "-out", made.key] + properties.key) }
        try await scenario.run(
            .openssl,
            ["req", "-new", "-key", made.key, "-subj", properties.subject, "-out", "\(folder)/request.pem"]
        )
        let identifiers = ["subjectKeyIdentifier=hash", "authorityKeyIdentifier=keyid"]
        try scenario.write(
            (properties.extensions + identifiers).joined(separator: "\n") + "\n",
            to: "\(folder)/extensions"
        )
        let signer = issuer.map { ["-CA", $0.certificate, "-CAkey", $0.key] } ?? ["-signkey", made.key]
        try await scenario.run(
            .openssl,
            ["x509", "-req", "-in", "\(folder)/request.pem", "-out", made.certificate, "-days", "\(properties.days)"]
                + ["-set_serial", "\(UInt32.random(in: 1...UInt32.max))", "-extfile", "\(folder)/extensions"] + signer
                + options
        )
        return made
    }
}
