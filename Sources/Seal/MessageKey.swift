import NIOCore

/// The key of one direction of a carrier, which both ends replace after the same number of messages.
///
/// The interval is 65,536 messages. A message has at most 65,535 bytes, which are 4,096 blocks of AES, so a key
/// encrypts at most 2^28 blocks, or 4 GiB. An attacker's advantage over an ideal cipher is at most the square of that
/// over 2^129, which is 2^-73. RFC 8446, section 5.5, accepts 2^34.5 blocks and 2^-57 (NIST SP 800-38D has no limit for
/// nonces that count, but its tag's strength falls with the length of a message: here by 2^12, and a carrier allows one
/// attempt). The interval is far below the limit, because it costs nothing: one short message in 65,536. Stolen memory
/// opens at most what the key of that moment has sealed.
struct MessageKey: Sendable {
    /// Messages of one key. A peer that counts differently fails at the next message, so it is part of the protocol.
    static let interval: UInt64 = 65_536

    private var cipher: CipherState

    init(_ cipher: CipherState) {
        self.cipher = cipher
    }

    /// The messages so far.
    var count: UInt64 { cipher.nonce }

    /// Performs one message, and replaces the key behind the last one of its interval.
    mutating func next(_ body: (inout CipherState) throws(NoiseError) -> Void) throws(NoiseError) {
        try body(&cipher)
        if cipher.nonce.isMultiple(of: Self.interval) { try cipher.rekey() }
    }
}
