import ByteText
import Crypto

/// The server's record of a token, enough to verify a client and to prove itself to it.
///
/// A verifier is a secret. It suffices to impersonate the server. Together with one observed login it suffices to
/// impersonate the client (RFC 5802, section 9).
public struct Verifier: Sendable, Hashable, CustomStringConvertible, CustomReflectable {
    /// The client's public id, 16 bytes.
    public let id: [UInt8]
    let storedKey: [UInt8]
    let serverKey: [UInt8]

    init(id: [UInt8], storedKey: [UInt8], serverKey: [UInt8]) {
        self.id = id
        self.storedKey = storedKey
        self.serverKey = serverKey
    }

    /// A verifier that matches no token, for a configuration whose own verifier could not be read.
    public static var placeholder: Verifier {
        decoy(for: [UInt8](repeating: 0, count: 16), secret: .init(size: .bits256))
    }

    /// The configuration line: `culvert1:ID:STORED:SERVER`, each part in lower-case hexadecimal.
    public var line: String {
        "culvert1:\(Base16.encoded(id)):\(Base16.encoded(storedKey)):\(Base16.encoded(serverKey))"
    }

    /// Reads a configuration line; nil if it is not a verifier.
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

    /// Returns a verifier that matches no token, so that an unknown client costs the same work as a wrong proof.
    static func decoy(for id: [UInt8], secret: SymmetricKey) -> Verifier {
        Verifier(
            id: id,
            storedKey: Array(HMAC<SHA256>.authenticationCode(for: id + [1], using: secret)),
            serverKey: Array(HMAC<SHA256>.authenticationCode(for: id + [2], using: secret))
        )
    }

    /// The public id only.
    public var description: String { "verifier \(Base16.encoded(id))" }

    /// Hides the keys from `dump`.
    public var customMirror: Mirror { Mirror(self, children: ["id": Base16.encoded(id)]) }
}
