import NIOSSL
import Tunnel

/// Reads certificates and keys from files; each error names the file.
enum TLSFiles {
    /// The limit in bytes. 16 MiB: longer than any bundle of certificates.
    static let maximumLength = 16_777_216

    /// The server's certificate and key; nil if neither is given.
    ///
    /// - Parameter clientAuthority: a CA; each client must show a certificate that it has signed.
    static func server(
        certificate: String?,
        key: String?,
        clientAuthority: String? = nil
    ) throws(Failure) -> (TLSConfiguration?, TLSTrust?) {
        guard certificate != nil || key != nil else {
            guard clientAuthority == nil else {
                throw Failure(.configuration, "--tls-client-ca needs --tls-certificate and --tls-key")
            }
            return (nil, nil)
        }
        guard let certificate, let key else {
            throw Failure(.configuration, "a certificate and a key belong together: --tls-certificate and --tls-key")
        }
        let (chain, privateKey) = try identity(certificate, key)
        let tls = TLSConfiguration.tunnelServer(certificateChain: chain, privateKey: privateKey)
        guard let clientAuthority else { return (tls, nil) }
        let authorities = try certificates(clientAuthority, "CA file")
        return (tls, TLSTrust(authorities: authorities, includesSystem: false))
    }

    /// The CAs of a file.
    static func authorities(_ path: String) throws(Failure) -> [NIOSSLCertificate] {
        try certificates(path, "CA file")
    }

    /// A certificate with its chain, and its key.
    static func identity(
        _ certificate: String,
        _ key: String
    ) throws(Failure) -> ([NIOSSLCertificateSource], NIOSSLPrivateKeySource) {
        let chain = try certificates(certificate, "certificate").map { NIOSSLCertificateSource.certificate($0) }
        let source = NIOSSLPrivateKeySource.privateKey(try privateKey(key))
        // BoringSSL compares certificate and key when both are set.
        let both = TLSConfiguration.makeServerConfiguration(certificateChain: chain, privateKey: source)
        switch TLSIdentity.problem(of: both) {
        case nil: break
        case TLSIdentity.foreignKey?:
            throw Failure(.badData, "the key in \(key) does not belong to the certificate in \(certificate)")
        case let problem?: throw Failure(.badData, "\(certificate): \(problem)")
        }
        return (chain, source)
    }

    /// All certificates of a file in PEM, or the one in a file in DER.
    private static func certificates(_ path: String, _ what: String) throws(Failure) -> [NIOSSLCertificate] {
        let bytes = try read(path, what)
        guard isPEM(bytes) else {
            do {
                return [try NIOSSLCertificate(bytes: bytes, format: .der)]
            } catch {
                throw Failure(.badData, "no certificate in \(path), neither in PEM nor in DER")
            }
        }
        guard contains(bytes, "CERTIFICATE-----") else { throw Failure(.badData, "no certificate in \(path)") }
        // BoringSSL silently skips a certificate whose first line is damaged.
        guard let all = try? NIOSSLCertificate.fromPEMBytes(bytes), all.count == PEMText.certificates(in: bytes) else {
            throw Failure(.badData, "a certificate in \(path) cannot be read as PEM")
        }
        return all
    }

    private static func privateKey(_ path: String) throws(Failure) -> NIOSSLPrivateKey {
        let bytes = try read(path, "key")
        let isPEM = isPEM(bytes)
        guard !isPEM || contains(bytes, "PRIVATE KEY-----") else { throw Failure(.badData, "no key in \(path)") }
        do {
            return try NIOSSLPrivateKey(bytes: bytes, format: isPEM ? .pem : .der)
        } catch {
            let problem =
                isPEM ? "the key in \(path) cannot be read as PEM" : "no key in \(path), neither in PEM nor in DER"
            throw Failure(
                .badData,
                problem
                    + "; the key must be RSA, P-256, P-384, P-521 or Ed25519; decrypt one that has a passphrase"
            )
        }
    }

    /// Reads bytes and not text, because comments in a PEM file can have any encoding.
    private static func read(_ path: String, _ what: String) throws(Failure) -> [UInt8] {
        let bytes = try TextFile.bytes(path, what: what, limit: maximumLength)
        do throws(PlainText.Unreadable) {
            return PEMText.tidied(try PlainText.withoutMark(bytes))
        } catch {
            throw Failure(.badData, "the \(what) \(path) \(error)")
        }
    }

    private static func isPEM(_ bytes: [UInt8]) -> Bool { contains(bytes, "-----BEGIN ") }

    private static func contains(_ bytes: [UInt8], _ words: String) -> Bool {
        bytes.firstRange(of: Array(words.utf8)) != nil
    }

    /// The client's TLS with a certificate, for a server or proxy that asks for one.
    ///
    /// - Parameter flags: the flags of the two files, for the error.
    static func identified(
        _ client: TLSConfiguration,
        certificate: String?,
        key: String?,
        flags: String
    ) throws(Failure) -> TLSConfiguration {
        guard certificate != nil || key != nil else { return client }
        guard let certificate, let key else {
            throw Failure(.configuration, "a certificate and a key belong together: \(flags)")
        }
        var tls = client
        let (chain, privateKey) = try identity(certificate, key)
        tls.certificateChain = chain
        tls.privateKey = privateKey
        return tls
    }

    /// The client's trust: the files with the system's store, or the files alone.
    static func trust(authorities: [String], only: Bool) throws(Failure) -> TLSTrust {
        guard !authorities.isEmpty else {
            guard !only else { throw Failure(.configuration, "--ca-only needs --ca") }
            return TLSTrust()
        }
        var certificates: [NIOSSLCertificate] = []
        for file in authorities {
            certificates += try self.certificates(file, "CA file")
        }
        return TLSTrust(authorities: certificates, includesSystem: !only)
    }
}
