import Crypto

/// PBKDF2 with HMAC-SHA-256 (RFC 8018, section 5.2).
package enum PBKDF2 {
    /// Derives 32 bytes, the first block, from a password.
    package static func derive(_ password: [UInt8], salt: [UInt8], rounds: Int) -> [UInt8] {
        // The key is hashed once, and each round begins with a copy.
        let keyed = HMAC<SHA256>(key: SymmetricKey(data: password))
        var first = keyed
        first.update(data: salt + [0, 0, 0, 1])
        var block = first.finalize()
        var sum = Array(block)
        for _ in 1..<max(rounds, 1) {
            var next = keyed
            block.withUnsafeBytes { next.update(data: $0) }
            block = next.finalize()
            block.withUnsafeBytes { bytes in
                for index in sum.indices { sum[index] ^= bytes[index] }
            }
        }
        return sum
    }
}
