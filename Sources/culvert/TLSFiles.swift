import NIOSSL

/// TLS from the files that a user names; each failure names the file.
enum TLSFiles {
    /// Longer than any bundle of certificates.
    private static let maximumLength = 16_777_216

    /// The server's certificate and key; nil where neither was named.
    static func server(certificate: String?, key: String?) throws(Failure) -> TLSConfiguration? {
        guard certificate != nil || key != nil else { return nil }
        guard let certificate, let key else {
            throw Failure(.configuration, "a certificate and a key belong together: --tls-certificate and --tls-key")
        }
        let (chain, privateKey) = try identity(certificate, key)
        var tls = TLSConfiguration.makeServerConfiguration(certificateChain: chain, privateKey: privateKey)
        tls.minimumTLSVersion = .tlsv12
        return tls
    }

    /// A certificate with those above it, and its key.
    private static func identity(
        _ certificate: String,
        _ key: String
    ) throws(Failure) -> ([NIOSSLCertificateSource], NIOSSLPrivateKeySource) {
        do {
            let chain = try NIOSSLCertificate.fromPEMBytes(pem(certificate, "certificate")).map {
                NIOSSLCertificateSource.certificate($0)
            }
            guard !chain.isEmpty else { throw Failure(.badData, "no certificate in \(certificate)") }
            return (chain, .privateKey(try NIOSSLPrivateKey(bytes: pem(key, "key"), format: .pem)))
        } catch let failure as Failure {
            throw failure
        } catch {
            throw Failure(.badData, "\(certificate) or \(key) cannot be read as PEM: \(error)")
        }
    }

    private static func pem(_ path: String, _ what: String) throws(Failure) -> [UInt8] {
        Array(try TextFile.read(path, what: what, limit: maximumLength).utf8)
    }

    /// The same with a certificate of the client's own, for proxies that ask for one.
    static func proxy(
        _ client: TLSConfiguration,
        certificate: String?,
        key: String?
    ) throws(Failure) -> TLSConfiguration {
        guard certificate != nil || key != nil else { return client }
        guard let certificate, let key else {
            throw Failure(
                .configuration,
                "a certificate and a key belong together: --proxy-certificate and --proxy-key"
            )
        }
        var tls = client
        let (chain, privateKey) = try identity(certificate, key)
        tls.certificateChain = chain
        tls.privateKey = privateKey
        return tls
    }

    /// The client's trust: the system's store and the files, or the files alone.
    static func client(authorities: [String], only: Bool) throws(Failure) -> TLSConfiguration {
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.minimumTLSVersion = .tlsv12
        guard !authorities.isEmpty else {
            guard !only else { throw Failure(.configuration, "--ca-only needs --ca") }
            return tls
        }
        var certificates: [NIOSSLCertificate] = []
        for file in authorities {
            do {
                certificates += try NIOSSLCertificate.fromPEMBytes(pem(file, "CA file"))
            } catch let failure as Failure {
                throw failure
            } catch {
                throw Failure(.badData, "the CA file \(file) cannot be read as PEM: \(error)")
            }
        }
        if only {
            tls.trustRoots = .certificates(certificates)
        } else {
            tls.additionalTrustRoots = [.certificates(certificates)]
        }
        return tls
    }
}
