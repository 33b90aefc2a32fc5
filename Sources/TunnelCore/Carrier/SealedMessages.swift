import Mux
import NIOCore
import Seal

/// The messages of a sealed carrier, in both directions.
final class SealedMessages {
    private var seal: CarrierSeal
    /// The beginning of a message that comes in several pieces.
    private var incoming = ByteBuffer()

    init(_ seal: consuming CarrierSeal) {
        self.seal = seal
    }

    /// Appends the sealed message of a frame: ``Sealer/overhead`` bytes more than the frame.
    ///
    /// - Throws: ``NoiseError`` after 2^64 - 1 messages.
    func seal(_ frame: OutboundFrame, into out: inout ByteBuffer) throws(NoiseError) {
        try seal(into: &out) {
            frame.writeHead(into: &$0)
            $0.writeImmutableBuffer(frame.payload)
        }
    }

    /// Appends the sealed message of what `write` appends.
    func seal(into out: inout ByteBuffer, _ write: (inout ByteBuffer) -> Void) throws(NoiseError) {
        let start = out.writerIndex
        write(&out)
        try seal.sealer.seal(&out, from: start)
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
