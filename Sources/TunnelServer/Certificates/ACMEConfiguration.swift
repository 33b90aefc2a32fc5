public import NIOSSL

/// How a server gets certificates by itself: the table `[acme]` of a configuration.
///
/// With it the operator agrees to the CA's terms of service.
public struct ACMEConfiguration: Sendable, Hashable {
    /// The directory of Let's Encrypt.
    public static let letsEncrypt = "https://acme-v02.api.letsencrypt.org/directory"

    /// The URL of the CA's directory: https, or http to a loopback address.
    public var directory: String
    /// The address for the CA's messages about the account; nil for none.
    public var email: String?
    /// CAs that are trusted for the connection to this one, besides the system's: the root of a private CA.
    public var authorities: [NIOSSLCertificate]
    /// The folder for the account's key and the certificates. It is made with mode 0700.
    public var storage: String

    /// Names a CA and a folder.
    public init(
        directory: String = Self.letsEncrypt,
        email: String? = nil,
        authorities: [NIOSSLCertificate] = [],
        storage: String
    ) {
        (self.directory, self.email, self.authorities, self.storage) = (directory, email, authorities, storage)
    }
}
