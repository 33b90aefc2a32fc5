/// What the schemes cannot make themselves: fresh randomness and the time. For one exchange.
public struct AuthenticationSeed: Sendable {
    /// NTLM's challenge to the proxy, 8 bytes.
    let clientChallenge: [UInt8]
    /// Digest's `cnonce`.
    let clientNonce: String
    /// Tenths of a microsecond since 1601, as NTLM counts time ([MS-DTYP] section 2.3.3).
    let fileTime: UInt64

    /// Seconds between 1601 and 1970.
    private static let epochs: UInt64 = 11_644_473_600

    /// A seed.
    ///
    /// - Parameters:
    ///   - random: 24 bytes that nobody can predict; what is missing is zero.
    ///   - unixTime: seconds since 1970. NTLM uses it only where the proxy sends no time of its own.
    public init(random: [UInt8], unixTime: UInt64) {
        let bytes = Array((random + Array(repeating: 0, count: 24)).prefix(24))
        clientChallenge = Array(bytes.prefix(8))
        clientNonce = Base16.encoded(bytes.suffix(16))
        fileTime = (unixTime &+ Self.epochs) &* 10_000_000
    }
}

/// Two lower-case digits for each byte (RFC 4648 section 8).
enum Base16 {
    private static let digits = Array("0123456789abcdef".utf8)

    static func encoded(_ bytes: some Sequence<UInt8>) -> String {
        // Four bits are below 16, the number of digits.
        String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}
