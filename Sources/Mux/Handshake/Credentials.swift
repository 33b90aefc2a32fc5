import ByteText
import Crypto

/// What a client derives from its token: SCRAM's keys (RFC 5802 section 3, with SHA-256 as in RFC 7677).
public struct Credentials: Sendable, CustomStringConvertible, CustomReflectable {
    /// The client's public name: follows from the token and tells nothing about it.
    public let id: [UInt8]
    let clientKey: SymmetricKey
    let serverKey: SymmetricKey

    init(saltedToken: SymmetricKey) {
        func derive(_ label: String) -> SymmetricKey {
            SymmetricKey(data: Array(HMAC<SHA256>.authenticationCode(for: Array(label.utf8), using: saltedToken)))
        }
        self.clientKey = derive("Client Key")
        self.serverKey = derive("Server Key")
        self.id = Array(HMAC<SHA256>.authenticationCode(for: Array("Client Id".utf8), using: saltedToken).prefix(16))
    }

    /// The public part alone.
    public var description: String { "credentials \(Base16.encoded(id))" }

    /// Shows no key to `dump` either.
    public var customMirror: Mirror { Mirror(self, children: ["id": Base16.encoded(id)]) }

    /// What a server keeps in order to recognise this token.
    public var verifier: Verifier {
        Verifier(id: id, storedKey: Array(SHA256.hash(data: clientKey.bytes)), serverKey: serverKey.bytes)
    }
}

/// What a server keeps of a token: enough to verify a client and to prove itself to it.
///
/// It is a secret. With it alone a server can be played to the client; with it and one login of the client, the client
/// can be played to the server (RFC 5802, section 9).
public struct Verifier: Sendable, Hashable, CustomStringConvertible, CustomReflectable {
    /// The client's public name, 16 bytes.
    public let id: [UInt8]
    let storedKey: [UInt8]
    let serverKey: [UInt8]

    init(id: [UInt8], storedKey: [UInt8], serverKey: [UInt8]) {
        self.id = id
        self.storedKey = storedKey
        self.serverKey = serverKey
    }

    /// A verifier that no token has, for a configuration whose own could not be read.
    public static var placeholder: Verifier {
        decoy(for: [UInt8](repeating: 0, count: 16), secret: .init(size: .bits256))
    }

    /// The line for the configuration: `culvert1:ID:STORED:SERVER`, each in lower-case hexadecimal.
    public var line: String {
        "culvert1:\(Base16.encoded(id)):\(Base16.encoded(storedKey)):\(Base16.encoded(serverKey))"
    }

    /// Reads a configuration line; nil where it is none.
    public init?(line: String) {
        let parts = line.split(separator: ":", omittingEmptySubsequences: false)
        guard
            parts.count == 4, parts[0] == "culvert1",
            let id = Base16.decoded(parts[1]), id.count == 16,
            let storedKey = Base16.decoded(parts[2]), storedKey.count == 32,
            let serverKey = Base16.decoded(parts[3]), serverKey.count == 32
        else { return nil }
        self.init(id: id, storedKey: storedKey, serverKey: serverKey)
    }

    /// A verifier that nobody's token has, so that an unknown client costs the same work as a wrong proof.
    static func decoy(for id: [UInt8], secret: SymmetricKey) -> Verifier {
        Verifier(
            id: id,
            storedKey: Array(HMAC<SHA256>.authenticationCode(for: id + [1], using: secret)),
            serverKey: Array(HMAC<SHA256>.authenticationCode(for: id + [2], using: secret))
        )
    }

    /// The public part alone.
    public var description: String { "verifier \(Base16.encoded(id))" }

    /// Shows no key to `dump` either.
    public var customMirror: Mirror { Mirror(self, children: ["id": Base16.encoded(id)]) }
}

extension SymmetricKey {
    var bytes: [UInt8] { withUnsafeBytes { Array($0) } }
}
