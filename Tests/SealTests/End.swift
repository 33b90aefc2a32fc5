import Crypto
import NIOCore
import TestSupport

@testable import Seal

/// One end of a sealed carrier, with messages as arrays.
final class End {
    private var handshake: HandshakeState?
    private var seal: CarrierSeal?

    init(_ handshake: consuming HandshakeState) {
        self.handshake = consume handshake
    }

    var isComplete: Bool { handshake?.isComplete ?? false }

    func write(_ payload: [UInt8] = []) throws -> [UInt8] {
        guard let message = try handshake?.write(payload) else { throw NoiseError.ended }
        return message
    }

    func read(_ message: [UInt8]) throws -> [UInt8] {
        guard let payload = try handshake?.read(message) else { throw NoiseError.ended }
        return payload
    }

    /// Ends the handshake.
    func split() throws {
        guard let handshake = handshake.take() else { throw NoiseError.ended }
        seal = try handshake.split()
    }

    var hash: [UInt8] { seal?.handshakeHash ?? [] }
    var resumptionSecret: SymmetricKey? { seal?.resumptionSecret }
    var sealed: UInt64 { seal?.sealer.count ?? 0 }

    func seal(_ plaintext: [UInt8]) throws -> [UInt8] {
        var buffer = ByteBuffer(bytes: plaintext)
        try seal?.sealer.seal(&buffer)
        return Array(buffer.readableBytesView)
    }

    func open(_ message: [UInt8]) throws -> [UInt8] {
        var buffer = ByteBuffer(bytes: message)
        try seal?.opener.open(&buffer)
        return Array(buffer.readableBytesView)
    }
}

/// What two ends agree on, or not.
struct Setup {
    var psk = SymmetricKey(size: .bits256)
    var prologue = Array("prologue".utf8)
    var server = ServerKey()
    /// The server's key as the client knows it; nil for the server's own.
    var pinned: ServerPublicKey?
    /// Whether the handshake resumes a session: NNpsk0.
    var resumes = false
    /// Fixed ephemeral keys; nil for random ones.
    var ephemerals: (client: Curve25519.KeyAgreement.PrivateKey, server: Curve25519.KeyAgreement.PrivateKey)?

    init(resumes: Bool = false) {
        self.resumes = resumes
    }

    func client() -> End {
        let party = resumes ? HandshakeState.Party.resumingClient : .client(of: pinned ?? server.publicKey)
        return End(HandshakeState(party, psk: psk, prologue: prologue, ephemeral: ephemerals?.client))
    }

    func serving() -> End {
        let party = resumes ? HandshakeState.Party.resumingServer : .server(server)
        return End(HandshakeState(party, psk: psk, prologue: prologue, ephemeral: ephemerals?.server))
    }

    /// Two ends after the handshake.
    func connected() throws -> (client: End, server: End) {
        let (client, server) = (client(), serving())
        _ = try server.read(client.write())
        _ = try client.read(server.write())
        try client.split()
        try server.split()
        return (client, server)
    }
}

/// The error of a call; nil if it succeeds.
func failure(_ body: () throws -> Void) -> NoiseError? {
    do {
        try body()
        return nil
    } catch {
        return error as? NoiseError
    }
}

extension SymmetricKey {
    var bytes: [UInt8] { withUnsafeBytes { Array($0) } }
}
