import Crypto
import NIOCore
import Seal
import TestSupport

@testable import Mux
@testable import TunnelCore

/// A scripted server of the session protocol.
final class HostileServer: Sendable {
    private let service: TCPService
    /// The errors of scripts.
    var failures: Mailbox<String> { service.failures }
    var port: UInt16 { service.port }
    /// The number of accepted connections.
    var dials: Int { service.accepted }

    /// - Parameter script: serves one connection after its upgrade. The connection is closed when the script returns.
    init(_ script: @escaping @Sendable (WirePeer) throws -> Void) throws {
        service = try TCPService { try script(WirePeer.answer($0)) }
    }

    /// Runs a client of this server during `body`.
    func withClient(
        to service: UInt16 = 9,
        limits: MuxLimits = MuxLimits(),
        _ body: @Sendable (RunningClient) async throws -> Void
    ) async throws {
        try await RunningClient.with(.alice, port, "8022:127.0.0.1:\(service)", limits: limits) { client in
            do {
                try await body(client)
            } catch {
                throw ScenarioFailure(description: "\(error)\nthe server's connections: \(failures.all)")
            }
        }
    }
}

extension ServerHandshake.Verified {
    /// The grant of a session.
    func opening(_ terms: Welcome) throws -> (CarrierOpening, SessionKeys) {
        guard let opening = welcome(terms) else { throw ScenarioFailure(description: "it was answered before") }
        return opening
    }
}

extension WirePeer {
    /// Authenticates the client, and returns the WELCOME for it.
    func grant() throws -> OutboundFrame {
        var handshake = ServerHandshake(nonce: randomBytes(32), software: "wire/1")
        try send(handshake.challenge)
        guard case .verify = try handshake.receive(frame(.authenticate)) else {
            throw ScenarioFailure(description: "the client did not authenticate")
        }
        let verifier = Identity.alice.credentials.verifier
        guard let verified = try handshake.verify(verifier, decoySecret: SymmetricKey(size: .bits256)) else {
            throw ScenarioFailure(description: "the client's proof is wrong")
        }
        return try verified.opening(Welcome(session: randomBytes(16), initialWindow: 65_536, grace: 0)).0.frame
    }

    /// Authenticates the client, grants it a sealed session, and has its seal.
    func grantSealed(_ key: ServerKey = ServerKey(), grace: UInt32 = 0) throws {
        var handshake = ServerHandshake(nonce: randomBytes(32), software: "wire/1", key: key)
        try send(handshake.challenge)
        guard case .verify = try handshake.receive(frame(.authenticate)),
            let verified = try handshake.verify(
                Identity.alice.credentials.verifier,
                decoySecret: SymmetricKey(size: .bits256)
            )
        else { throw ScenarioFailure(description: "the client's proof is wrong") }
        let terms = Welcome(session: randomBytes(16), initialWindow: 65_536, grace: grace)
        let opening = try verified.opening(terms).0
        try send(opening.frame)
        if let seal = opening.seal?.take() { self.seal = SealedMessages(seal) }
    }

    static func open(_ stream: UInt32, tunnel: UInt16 = 0) -> OutboundFrame {
        OpenRequest(tunnel: tunnel, visitor: "192.0.2.1:1").frame(StreamID(stream))
    }

    static func bound(_ port: UInt16 = 8_022) -> OutboundFrame {
        Binding(tunnel: 0, address: "127.0.0.1", port: port).frame
    }

    static func goAway(_ code: RefusalCode, retryAfter: UInt32? = nil) -> OutboundFrame {
        Refusal(code, "test", retryAfter: retryAfter).frame(.goAway)
    }

    static func refusalCode(_ frame: InboundFrame) throws -> RefusalCode {
        try Refusal(frame.payload, of: frame.header.type).code
    }

    static func resetCode(_ frame: InboundFrame) throws -> ResetCode { try ResetCode.read(frame.payload).code }
}
