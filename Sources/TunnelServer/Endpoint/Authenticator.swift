import Crypto
import Mux
import TunnelAdmin
import TunnelCore

/// Who a client is, and the only place where that is decided.
struct Authenticator: Sendable {
    private let clients: [[UInt8]: ClientRights]
    private let decoySecret = SymmetricKey(size: .bits256)

    init(_ configuration: ServerConfiguration) {
        var clients = configuration.clients
        if configuration.isOpen {
            clients = [.init(name: "anybody", verifier: Token.none.credentials().verifier)]
        }
        self.clients = Dictionary(clients.map { ($0.verifier.id, $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// The entry of a client by its public id, which proves nothing.
    func rights(of id: [UInt8]) -> ClientRights? { clients[id] }

    /// Why a client that was here may not be any more, in words for its user; nil where it may.
    func refusal(of id: [UInt8], now: Int64) -> Refusal? {
        guard let rights = rights(of: id) else {
            return Refusal(.credentials, "the operator has removed this client")
        }
        return rights.refusal(now: now)
    }

    /// Verifies what the client has shown to `opening`; nil where it is unknown or its proof is wrong, after the same
    /// work in both cases.
    func verify(
        _ authentication: Authentication,
        _ opening: inout ServerHandshake
    ) -> (ClientRights, ServerHandshake.Verified)? {
        let client = clients[authentication.id]
        guard let verified = opening.verify(client?.verifier, decoySecret: decoySecret), let client else { return nil }
        return (client, verified)
    }

    /// Verifies that a client holds the key of the session that it wants to go on with; nil where that is not known or
    /// the proof is wrong, after the same work in both cases.
    func verifyResume(_ key: SymmetricKey?, _ opening: inout ServerHandshake) -> ServerHandshake.Resumed? {
        opening.verifyResume(key, decoySecret: decoySecret)
    }
}
