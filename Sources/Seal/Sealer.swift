import NIOCore

/// Seals the messages that one end sends on a carrier, in their order.
///
/// A message is sealed as a transport message of Noise (section 7.3 and 12.4): AES-256-GCM without additional data, the
/// tag behind the ciphertext. The nonce is the number of the message, which does not travel. A sealer cannot be copied,
/// so each number is used once.
public struct Sealer: ~Copyable, Sendable {
    /// Bytes that a sealed message is longer than its plaintext.
    public static let overhead = CipherState.tagLength
    /// The longest message before it is sealed, bytes.
    public static let longestMessage = CipherState.longestMessage - overhead

    /// Messages of one key. Then both ends derive the next one.
    public static let messagesOfKey = MessageKey.interval

    private var key: MessageKey

    init(_ cipher: CipherState) {
        key = MessageKey(cipher)
    }

    /// The messages sealed so far.
    public var count: UInt64 { key.count }

    /// Seals one message in its buffer, and appends the tag.
    ///
    /// - Parameters:
    ///   - buffer: the message, behind bytes that stay as they are.
    ///   - start: the index of the message's first byte; the reader index if nil.
    /// - Throws: ``NoiseError/length(_:)`` if the message is longer than ``longestMessage``, and
    ///   ``NoiseError/exhausted`` after 2^64 - 1 messages. The buffer is then unchanged.
    public mutating func seal(_ buffer: inout ByteBuffer, from start: Int? = nil) throws(NoiseError) {
        let start = start ?? buffer.readerIndex
        precondition((buffer.readerIndex...buffer.writerIndex).contains(start), "the message begins outside its buffer")
        let count = buffer.writerIndex - start
        guard count <= Self.longestMessage else { throw .length(count) }
        try key.next { (cipher) throws(NoiseError) in try cipher.seal(&buffer, from: start) }
    }
}
