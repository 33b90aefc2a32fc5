import Crypto
import NIOCore
import Seal
import Testing

@testable import Mux

/// Requests of an end that has the psk, with any content and any proof inside a valid message of Noise.
enum SealedRequest {
    /// AUTHENTICATE for the server of ``SealedPair``.
    ///
    /// - Parameters:
    ///   - prove: returns the proof over the transcript.
    ///   - change: returns what is sealed in place of the fields and the proof.
    static func authenticate(
        _ challenge: ByteBuffer,
        prove: (Transcript) throws -> [UInt8],
        change: ([UInt8]) throws -> [UInt8] = { $0 }
    ) throws -> OutboundFrame {
        let verifier = try #require(HandshakePair.token).verifier
        let asked = Authentication(
            id: verifier.id,
            nonce: [UInt8](repeating: 2, count: 32),
            instance: [UInt8](repeating: 5, count: 32),
            name: "laptop",
            authority: "tunnel.example.com:443",
            initialWindow: 1_000,
            software: "culvert 1.2.4",
            streams: 7,
            opening: 3
        )
        var fields = asked.outer
        var noise = SealedFields.handshake(
            .client(of: try #require(SealedPair.key).publicKey),
            psk: .seal(of: verifier.storedKey),
            "culvert seal 1",
            [("challenge", challenge), ("authenticate", fields.bytes)]
        )
        let content = try proved(asked.inner, challenge, "authenticate", fields.bytes, prove)
        fields.append(SealedFields.Tag.authenticate, try noise.write(change(content)))
        return OutboundFrame(.authenticate, .session, fields.bytes)
    }

    /// RESUME of the session of ``SealedPair``, with the right proof.
    static func resume(
        _ challenge: ByteBuffer,
        _ keys: SessionKeys,
        change: ([UInt8]) throws -> [UInt8]
    ) throws -> OutboundFrame {
        let asked = SealedPair.ticket(keys).resumption
        var fields = asked.outer
        var noise = SealedFields.handshake(
            .resumingClient,
            psk: try #require(keys.seal),
            "culvert seal resume 1",
            [("challenge", challenge), ("resume", fields.bytes)]
        )
        let content = try proved(asked.inner, challenge, "resume", fields.bytes) { $0.authenticate(keys.resume).bytes }
        fields.append(SealedFields.Tag.resume, try noise.write(change(content)))
        return OutboundFrame(.resume, .session, fields.bytes)
    }

    private static func proved(
        _ inner: FieldWriter,
        _ challenge: ByteBuffer,
        _ label: String,
        _ outer: ByteBuffer,
        _ prove: (Transcript) throws -> [UInt8]
    ) throws -> [UInt8] {
        var transcript = Transcript()
        transcript.append("challenge", challenge)
        transcript.append(label, outer)
        transcript.append("sealed", inner.bytes)
        var inner = inner
        inner.append(FieldReader.proofTag, try prove(transcript))
        return Array(inner.bytes.readableBytesView)
    }
}
