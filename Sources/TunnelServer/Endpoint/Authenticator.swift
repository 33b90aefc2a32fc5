import Crypto
import Mux
import TunnelAdmin
import TunnelCore

/// Decides which client a peer is. Nothing else does.
struct Authenticator: Sendable {
    private struct Entry {
        let rights: ClientRights
        let verifier: Verifier
        let identity: [UInt8]
    }

    /// By the public id of each token.
    private let clients: [[UInt8]: Entry]
    private let decoySecret = SymmetricKey(size: .bits256)

    init(_ configuration: ServerConfiguration) {
        var clients = configuration.clients
        if configuration.isOpen {
            var anybody = ClientRights(name: "anybody", verifier: Token.none.credentials().verifier)
            anybody.destinations = configuration.destinations
            anybody.names = configuration.names
            clients = [anybody]
        }
        let names = Dictionary(clients.map { ($0.name, 1) }, uniquingKeysWith: +)
        let entries = clients.flatMap { rights in
            let identity = Self.identity(rights, isNamedAlone: names[rights.name] == 1)
            return rights.verifiers.map { ($0.id, Entry(rights: rights, verifier: $0, identity: identity)) }
        }
        self.clients = Dictionary(entries, uniquingKeysWith: { first, _ in first })
    }

    /// The identity of a client in claims and shares. It is the same for all its tokens, so that a client whose token is
    /// replaced gets its ports back.
    ///
    /// - Parameter isNamedAlone: whether no other entry has its name; otherwise its token stands for it.
    private static func identity(_ rights: ClientRights, isNamedAlone: Bool) -> [UInt8] {
        guard isNamedAlone else { return rights.verifier.id }
        return Array(SHA256.hash(data: Array("culvert client \(rights.name)".utf8)).prefix(16))
    }

    /// The rights of a client by its public id, which proves nothing.
    func rights(of id: [UInt8]) -> ClientRights? { clients[id]?.rights }

    /// The identity of the client with a public id; the id itself if it is unknown.
    func identity(of id: [UInt8]) -> [UInt8] { clients[id]?.identity ?? id }

    /// The refusal of a client that has a session, in words for its user; nil if it keeps its access.
    func refusal(of id: [UInt8], now: Int64) -> Refusal? {
        guard let rights = rights(of: id) else {
            return Refusal(.credentials, "the operator has removed this client's token")
        }
        return rights.refusal(now: now)
    }

    /// Verifies the proof in a handshake.
    ///
    /// - Parameter id: the client's public id.
    /// - Returns: nil if the client is unknown or its proof is wrong. Both cases take the same work.
    /// - Throws: ``MuxError`` if the request of a client with the right keys is malformed.
    func verify(
        _ id: [UInt8],
        _ handshake: inout ServerHandshake
    ) throws(MuxError) -> (ClientRights, ServerHandshake.Verified)? {
        let client = clients[id]
        guard let verified = try handshake.verify(client?.verifier, decoySecret: decoySecret), let client else {
            return nil
        }
        return (client.rights, verified)
    }

    /// Verifies that a client holds the key of the session that it resumes.
    ///
    /// - Parameter keys: the session's keys; nil if the session is unknown.
    /// - Returns: nil if the session is unknown or the proof is wrong. Both cases take the same work.
    /// - Throws: ``MuxError`` if the request of a client with the right keys is malformed.
    func verifyResume(
        _ keys: SessionKeys?,
        _ handshake: inout ServerHandshake
    ) throws(MuxError) -> ServerHandshake.Resumed? {
        try handshake.verifyResume(keys, decoySecret: decoySecret)
    }
}
