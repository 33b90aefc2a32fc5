import Crypto
import Mux
import TunnelAdmin
import TunnelCore

/// Decides which client a peer is. Nothing else does.
struct Authenticator: Sendable {
    private let clients: [[UInt8]: ClientRights]
    private let decoySecret = SymmetricKey(size: .bits256)

    init(_ configuration: ServerConfiguration) {
        var clients = configuration.clients
        if configuration.isOpen {
            var anybody = ClientRights(name: "anybody", verifier: Token.none.credentials().verifier)
            anybody.destinations = configuration.destinations
            clients = [anybody]
        }
        self.clients = Dictionary(clients.map { ($0.verifier.id, $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// The rights of a client by its public id, which proves nothing.
    func rights(of id: [UInt8]) -> ClientRights? { clients[id] }

    /// The refusal of a client that has a session, in words for its user; nil if it keeps its access.
    func refusal(of id: [UInt8], now: Int64) -> Refusal? {
        guard let rights = rights(of: id) else {
            return Refusal(.credentials, "the operator has removed this client")
        }
        return rights.refusal(now: now)
    }

    /// Verifies the proof in a handshake.
    ///
    /// - Returns: nil if the client is unknown or its proof is wrong. Both cases take the same work.
    func verify(
        _ authentication: Authentication,
        _ handshake: inout ServerHandshake
    ) -> (ClientRights, ServerHandshake.Verified)? {
        let client = clients[authentication.id]
        guard let verified = handshake.verify(client?.verifier, decoySecret: decoySecret), let client else {
            return nil
        }
        return (client, verified)
    }

    /// Verifies that a client holds the key of the session that it resumes.
    ///
    /// - Parameter key: the session's key; nil if the session is unknown.
    /// - Returns: nil if the session is unknown or the proof is wrong. Both cases take the same work.
    func verifyResume(_ key: SymmetricKey?, _ handshake: inout ServerHandshake) -> ServerHandshake.Resumed? {
        handshake.verifyResume(key, decoySecret: decoySecret)
    }
}
