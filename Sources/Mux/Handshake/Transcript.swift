import Crypto
import NIOCore
import Secrets

/// The bytes that both ends' proofs cover: everything that both have sent (protocol page, section 5).
///
/// The proofs follow SCRAM (RFC 5802, section 3). The client sends `ClientKey XOR HMAC(StoredKey, transcript)`, the
/// server `HMAC(ServerKey, transcript)`. The transcript holds role, version, client id, dialled authority and both
/// nonces. So a proof is valid once, in one direction, for one server.
struct Transcript {
    private(set) var bytes: [UInt8]

    /// - Parameter label: what the bytes are for.
    init(_ label: String = "culvert proof 1") {
        bytes = Array(label.utf8)
    }

    /// Appends one end's frame with its length, so that different frames never give the same bytes.
    mutating func append(_ label: String, _ payload: ByteBuffer) {
        let length = UInt32(truncatingIfNeeded: payload.readableBytes)
        bytes += Array(label.utf8) + [0]
        bytes += (0..<4).reversed().map { UInt8(truncatingIfNeeded: length >> ($0 * 8)) }
        bytes += payload.readableBytesView
    }

    func authenticate(_ key: SymmetricKey) -> Data32 {
        Data32(HMAC<SHA256>.authenticationCode(for: bytes, using: key))
    }
}

extension Credentials {
    func proof(over transcript: Transcript) -> Data32 {
        let storedKey = SymmetricKey(data: verifier.storedKey)
        return Data32(clientKey.bytes) ^ transcript.authenticate(storedKey)
    }

    /// Derives the key with which later carriers prove that they belong to the session.
    func resumeKey(_ transcript: Transcript) -> SymmetricKey {
        Self.resumeKey(clientKey: clientKey.bytes, storedKey: verifier.storedKey, transcript)
    }

    static func resumeKey(clientKey: [UInt8], storedKey: [UInt8], _ transcript: Transcript) -> SymmetricKey {
        let session = transcript.authenticate(SymmetricKey(data: storedKey))
        let code = HMAC<SHA256>.authenticationCode(
            for: Array("culvert resume key".utf8) + session.bytes,
            using: SymmetricKey(data: clientKey)
        )
        return SymmetricKey(data: code)
    }

    /// Returns whether `proof` is the server's proof over `transcript`, in constant time.
    func isServerProof(_ proof: [UInt8], over transcript: Transcript) -> Bool {
        isEqual(proof, transcript.authenticate(serverKey).bytes)
    }
}

extension Verifier {
    /// Checks a client's proof in constant time.
    ///
    /// - Returns: the session's resume key; nil if the proof is wrong.
    func resumeKey(proof: [UInt8], over transcript: Transcript) -> SymmetricKey? {
        let clientKey = Data32(proof) ^ transcript.authenticate(SymmetricKey(data: storedKey))
        guard isEqual(Array(SHA256.hash(data: clientKey.bytes)), storedKey) else { return nil }
        return Credentials.resumeKey(clientKey: clientKey.bytes, storedKey: storedKey, transcript)
    }

    func proof(over transcript: Transcript) -> Data32 {
        transcript.authenticate(SymmetricKey(data: serverKey))
    }
}
