import ByteText
import Crypto

/// The hash of a Digest answer (RFC 7616, sections 3.4.2 and 6.1). SHA-512-256 is not supported, since Crypto lacks it.
struct DigestAlgorithm: Sendable, Equatable {
    /// The hash functions, weakest first.
    enum Hash: Int, Sendable, Comparable {
        case md5
        case sha256

        static func < (left: Hash, right: Hash) -> Bool { left.rawValue < right.rawValue }
    }

    let hash: Hash
    /// Whether this is a `-sess` variant, which hashes the secret once more with both nonces.
    let isSession: Bool

    /// Finds the algorithm with a name, compared without case; nil if it is unknown. No name means MD5.
    init?(name: String?) {
        switch name?.lowercased() {
        case nil, "md5": (hash, isSession) = (.md5, false)
        case "md5-sess": (hash, isSession) = (.md5, true)
        case "sha-256": (hash, isSession) = (.sha256, false)
        case "sha-256-sess": (hash, isSession) = (.sha256, true)
        default: return nil
        }
    }

    /// Returns the hash of the text's UTF-8 in lower-case hexadecimal, `H` of the RFC.
    func digest(_ text: String) -> String {
        let bytes = Array(text.utf8)
        return switch hash {
        case .md5: Base16.encoded(Insecure.MD5.hash(data: bytes))
        case .sha256: Base16.encoded(SHA256.hash(data: bytes))
        }
    }
}
