import NIOCore
import Seal

/// The messages of a sealed carrier, in both directions.
final class SealedMessages {
    private var seal: CarrierSeal
    /// The next message to send, or the last one. Its storage is used again.
    private var outgoing = ByteBuffer()
    /// The beginning of a message that comes in several pieces.
    private var incoming = ByteBuffer()

    init(_ seal: consuming CarrierSeal) {
        self.seal = seal
    }

    /// Returns the sealed message of a frame.
    ///
    /// - Throws: ``NoiseError`` after 2^64 - 1 messages.
    func seal(_ head: ByteBuffer, _ payload: ByteBuffer) throws(NoiseError) -> ByteBuffer {
        outgoing.clear(minimumCapacity: head.readableBytes + payload.readableBytes + Sealer.overhead)
        outgoing.writeImmutableBuffer(head)
        outgoing.writeImmutableBuffer(payload)
        try seal.sealer.seal(&outgoing)
        return outgoing
    }

    /// Takes a piece of the peer's next message, and replaces the last one with what was sealed in the message.
    ///
    /// - Returns: whether the message is complete.
    /// - Throws: ``NoiseError`` if the message is not the next one of the peer, or as soon as it is too long for that. The
    ///   carrier is then of no more use.
    func open(_ piece: inout ByteBuffer, isLast: Bool) throws(NoiseError) -> Bool {
        if !isLast || incoming.readableBytes > 0 {
            incoming.writeImmutableBuffer(piece)
            guard incoming.readableBytes <= Sealer.longestMessage + Sealer.overhead else {
                throw .length(incoming.readableBytes)
            }
            guard isLast else { return false }
            piece = incoming
            incoming = ByteBuffer()
        }
        try seal.opener.open(&piece)
        return true
    }
}
