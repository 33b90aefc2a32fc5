import Crypto
import NIOCore
import Seal

/// Fields inside a message of a Noise handshake (protocol page, section 5).
///
/// The frames that carry them have a few fields in clear, and the message last.
enum SealedFields {
    /// The field of each frame with the message.
    enum Tag {
        static let challenge: UInt8 = 4
        static let authenticate: UInt8 = 11
        static let welcome: UInt8 = 7
        static let resume: UInt8 = 6
        static let resumed: UInt8 = 3
    }

    /// Begins a handshake.
    ///
    /// - Parameters:
    ///   - label: `culvert seal 1` for a new session, `culvert seal resume 1` for a further carrier.
    ///   - frames: the frames so far, with their labels in the transcript.
    static func handshake(
        _ party: HandshakeState.Party,
        psk: SymmetricKey,
        _ label: String,
        _ frames: [(label: String, payload: ByteBuffer)]
    ) -> HandshakeState {
        var prologue = Transcript(label)
        for frame in frames { prologue.append(frame.label, frame.payload) }
        return HandshakeState(party, psk: psk, prologue: prologue.bytes)
    }

    /// Returns the frame that ends a handshake, and the seal that begins behind it.
    ///
    /// - Parameters:
    ///   - content: the type of the frame that the message stands for, with its payload: the grant or the refusal.
    ///   - type: the type of the frame that carries the message.
    /// - Returns: nil if the handshake is not at this point.
    static func answer(
        _ content: FrameType,
        _ payload: ByteBuffer,
        in type: FrameType,
        _ handshake: consuming HandshakeState
    ) -> (CarrierOpening, resumptionSecret: SymmetricKey)? {
        guard let message = try? handshake.write([content.rawValue] + payload.readableBytesView),
            let seal = try? handshake.split()
        else { return nil }
        var fields = FieldWriter()
        fields.append(type == .welcome ? Tag.welcome : Tag.resumed, message)
        let secret = seal.resumptionSecret
        return (CarrierOpening(frame: OutboundFrame(type, .session, fields.bytes), seal: OneTime(seal)), secret)
    }

    /// The message that ends a handshake.
    struct Answer {
        /// The type of the frame that the message stands for.
        let type: FrameType
        /// The payload of that frame.
        let payload: ByteBuffer
        let resumptionSecret: SymmetricKey
        /// The seal that begins behind it.
        let seal: OneTime<CarrierSeal>
    }

    /// Reads the frame that ends a handshake.
    ///
    /// - Returns: what the message stands for.
    /// - Throws: ``MuxError`` of kind `altered` if the peer has other keys or the frame was altered.
    static func read(
        _ frame: InboundFrame,
        _ handshake: consuming HandshakeState
    ) throws(MuxError) -> Answer {
        let type = frame.header.type
        let fields = try FieldReader(frame.payload, of: type)
        let tag = type == .welcome ? Tag.welcome : Tag.resumed
        guard let (message, before) = try fields.last(tag), before.readableBytes == 0 else {
            throw MuxError(.altered, "the server's answer is not sealed")
        }
        do throws(NoiseError) {
            return try open(message, handshake)
        } catch {
            throw MuxError(.altered, "the server does not hold its keys, or its answer was altered on the way")
        }
    }

    private static func open(
        _ message: [UInt8],
        _ handshake: consuming HandshakeState
    ) throws(NoiseError) -> Answer {
        let content = try handshake.read(message)
        guard let first = content.first, let type = FrameType(rawValue: first) else { throw .length(content.count) }
        let seal = try handshake.split()
        let secret = seal.resumptionSecret
        let payload = ByteBuffer(bytes: content.dropFirst())
        return Answer(type: type, payload: payload, resumptionSecret: secret, seal: OneTime(seal))
    }
}
