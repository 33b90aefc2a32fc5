import NIOCore

/// Opens the messages that the peer has sealed, in their order.
///
/// The peer's ``Sealer`` counts the same messages. So one that was altered, repeated, dropped, moved, inserted or cut
/// fails, and so does the next one of that carrier. The end of a carrier is not sealed: a session must notice what is
/// missing there by its own numbers.
///
/// An opener that has failed once has no key any more, and fails always.
public struct Opener: ~Copyable, Sendable {
    private enum State: Sendable {
        case open(MessageKey)
        case failed
    }

    private var state: State

    init(_ cipher: CipherState) {
        state = .open(MessageKey(cipher))
    }

    /// Opens one message, which is all readable bytes, and replaces it with what was sealed.
    ///
    /// - Throws: ``NoiseError``. The buffer is then unchanged, and the carrier is of no more use.
    public mutating func open(_ message: inout ByteBuffer) throws(NoiseError) {
        guard case .open(var key) = state else { throw .ended }
        state = .failed
        let count = message.readableBytes
        guard (Sealer.overhead...CipherState.longestMessage).contains(count) else { throw .length(count) }
        try key.next { (cipher) throws(NoiseError) in try cipher.open(&message) }
        state = .open(key)
    }
}
