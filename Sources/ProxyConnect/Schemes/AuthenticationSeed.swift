import ByteText

/// Random bytes and the time for one exchange, which the schemes cannot create themselves.
public struct AuthenticationSeed: Sendable {
    /// NTLM's challenge to the proxy, 8 bytes.
    let clientChallenge: [UInt8]
    /// Digest's `cnonce`.
    let clientNonce: String
    /// The time in units of 100 ns since 1601, as in NTLM ([MS-DTYP], section 2.3.3).
    let fileTime: UInt64

    /// Seconds between 1601 and 1970.
    private static let epochs: UInt64 = 11_644_473_600

    /// Creates a seed.
    ///
    /// - Parameters:
    ///   - random: 24 unpredictable bytes; missing ones are zero.
    ///   - unixTime: seconds since 1970. NTLM uses it only if the proxy sends no time.
    public init(random: [UInt8], unixTime: UInt64) {
        let bytes = Array((random + Array(repeating: 0, count: 24)).prefix(24))
        clientChallenge = Array(bytes.prefix(8))
        clientNonce = Base16.encoded(bytes.suffix(16))
        fileTime = (unixTime &+ Self.epochs) &* 10_000_000
    }
}
