import ByteText

/// The texts of keys.
enum KeyText {
    /// Bytes of a key.
    static let keyLength = 32
    /// Characters of a key in base64.
    private static let encodedLength = 44
    private static let alphabet = Array("0123456789ABCDEFGHJKMNPQRSTVWXYZ")
    private static let (groups, groupLength) = (5, 4)

    /// Returns the key behind a prefix; nil if the text is not exactly the prefix and canonical base64 of 32 bytes.
    static func bytes(of text: Substring, after prefix: String) -> [UInt8]? {
        let characters = text.utf8
        guard characters.count == prefix.utf8.count + encodedLength, characters.starts(with: prefix.utf8) else {
            return nil
        }
        let encoded = String(decoding: characters.dropFirst(prefix.utf8.count), as: UTF8.self)
        guard let bytes = Base64.decoded(encoded, .canonical), bytes.count == keyLength else { return nil }
        return bytes
    }

    /// Returns the first 100 bits in groups of four characters.
    static func groups(of bytes: [UInt8]) -> String {
        var (bits, count) = (UInt32(0), UInt32(0))
        var characters: [Character] = []
        for byte in bytes where characters.count < groups * groupLength {
            bits = bits << 8 | UInt32(byte)
            count += 8
            while count >= 5 {
                count -= 5
                // Five bits are below 32, the size of the alphabet.
                characters.append(alphabet[Int(bits >> count & 31)])
                bits &= (1 << count) - 1
            }
        }
        return (0..<groups).map { index in
            String(characters.dropFirst(index * groupLength).prefix(groupLength))
        }.joined(separator: "-")
    }
}
