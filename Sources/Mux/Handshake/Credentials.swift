import ByteText
import Crypto

/// The keys that a client derives from its token, as in SCRAM (RFC 5802, section 3) with SHA-256 (RFC 7677).
public struct Credentials: Sendable, CustomStringConvertible, CustomReflectable {
    /// The client's public id, 16 bytes. It follows from the token and reveals nothing about it.
    public let id: [UInt8]
    let clientKey: SymmetricKey
    let serverKey: SymmetricKey

    init(saltedToken: SymmetricKey) {
        func derive(_ label: String) -> SymmetricKey {
            SymmetricKey(data: HMAC<SHA256>.authenticationCode(for: Array(label.utf8), using: saltedToken))
        }
        self.clientKey = derive("Client Key")
        self.serverKey = derive("Server Key")
        self.id = Array(HMAC<SHA256>.authenticationCode(for: Array("Client Id".utf8), using: saltedToken).prefix(16))
    }

    /// The public id only.
    public var description: String { "credentials \(Base16.encoded(id))" }

    /// Hides the keys from `dump`.
    public var customMirror: Mirror { Mirror(self, children: ["id": Base16.encoded(id)]) }

    /// Returns 32 bytes for one use, which only owners of the token can make, and which reveal nothing about it.
    ///
    /// - Parameters:
    ///   - use: the use, without a zero character.
    ///   - context: what distinguishes several values of one use.
    package func secret(for use: String, _ context: [UInt8]) -> [UInt8] {
        Array(HMAC<SHA256>.authenticationCode(for: Array(use.utf8) + [0] + context, using: clientKey))
    }

    /// The verifier with which a server recognises this token.
    public var verifier: Verifier {
        Verifier(id: id, storedKey: Array(SHA256.hash(data: clientKey.bytes)), serverKey: serverKey.bytes)
    }
}
