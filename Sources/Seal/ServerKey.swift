import ByteText
import Crypto

/// A server's static private key (X25519). The secret of the server's identity: a copy can play the server.
///
/// It prints as its fingerprint. swift-crypto overwrites its memory when the last copy goes.
public struct ServerKey: Sendable, CustomStringConvertible, CustomReflectable {
    /// What the text of a private key begins with. A public key begins otherwise, so one cannot pass as the other.
    static let prefix = "culvert-private-key-1:"

    let key: Curve25519.KeyAgreement.PrivateKey

    /// Creates a random key.
    public init() {
        key = Curve25519.KeyAgreement.PrivateKey()
    }

    /// Creates a key from its 32 bytes; nil for another number of bytes.
    public init?(rawRepresentation: [UInt8]) {
        guard let key = try? Curve25519.KeyAgreement.PrivateKey(rawRepresentation: rawRepresentation) else {
            return nil
        }
        self.key = key
    }

    /// Reads the content of a key file: `culvert-private-key-1:`, 44 characters of base64, and at most one line end.
    /// Nil for anything else.
    public init?(text: String) {
        let line = text.utf8.last == UInt8(ascii: "\n") ? Substring(text.utf8.dropLast()) : text[...]
        guard let bytes = KeyText.bytes(of: line, after: Self.prefix) else { return nil }
        self.init(rawRepresentation: bytes)
    }

    /// The 32 bytes. A copy that is not overwritten.
    public var rawRepresentation: [UInt8] { Array(key.rawRepresentation) }

    /// The content of a key file, with a line end. A copy that is not overwritten.
    public var text: String { "\(Self.prefix)\(Base64.encoded(key.rawRepresentation))\n" }

    /// The key that clients know the server by.
    public var publicKey: ServerPublicKey { ServerPublicKey(key.publicKey) }

    /// The fingerprint of the public key.
    public var description: String { publicKey.fingerprint }

    /// Hides the key from `dump`.
    public var customMirror: Mirror { Mirror(self, children: ["fingerprint": publicKey.fingerprint]) }
}

extension ServerKey: Equatable {
    /// Compares public keys, so the time gives nothing of a secret away.
    public static func == (left: ServerKey, right: ServerKey) -> Bool { left.publicKey == right.publicKey }
}
