import Crypto
import NIOCore
import TestSupport

@testable import Mux

/// The id and the key of a session, with which a client resumes it.
struct WireTicket: Sendable {
    let session: [UInt8]
    var keys: SessionKeys

    func resumption(epoch: UInt64, received: UInt64) -> ClientHandshake.Ticket {
        let nonce = WirePeer.randomBytes32
        return .init(Resumption(session: session, epoch: epoch, received: received, nonce: nonce), keys: keys)
    }
}

/// The client's part.
extension WirePeer {
    static var randomBytes32: [UInt8] { randomBytes(32) }

    /// Connects a client with a session that can be resumed.
    static func resumableSession(
        _ port: UInt16,
        _ identity: Identity,
        instance: UInt8 = 1
    ) throws -> (peer: WirePeer, ticket: WireTicket) {
        let peer = try dial(port)
        var (handshake, authenticate) = try peer.authentication(identity, instance: instance)
        try peer.send(authenticate)
        guard case .established(let grant) = try handshake.receive(peer.frame(.welcome, .refused)) else {
            throw ScenarioFailure(description: "the server refused a valid proof")
        }
        return (peer, WireTicket(session: grant.welcome.session, keys: grant.keys))
    }

    /// Receives the challenge, and returns the RESUME for it.
    func resumption(
        _ identity: Identity,
        _ ticket: WireTicket,
        epoch: UInt64,
        received: UInt64
    ) throws -> (handshake: ClientHandshake, frame: OutboundFrame) {
        var handshake = ClientHandshake(
            credentials: identity.credentials,
            authentication: Authentication(
                id: identity.credentials.id,
                nonce: randomBytes(32),
                instance: [UInt8](repeating: 1, count: 32),
                name: "",
                authority: "localhost",
                initialWindow: 65_536,
                software: "wire/1"
            )
        )
        let ticket = ticket.resumption(epoch: epoch, received: received)
        guard case .send(let resume) = try handshake.receive(frame(.challenge), ticket: ticket) else {
            throw ScenarioFailure(description: "the handshake has no answer to the challenge")
        }
        return (handshake, resume)
    }

    /// Requests a resume on a new carrier.
    ///
    /// - Returns: the server's verified answer.
    static func resume(
        _ port: UInt16,
        _ identity: Identity,
        _ ticket: WireTicket,
        epoch: UInt64,
        received: UInt64
    ) throws -> (peer: WirePeer, answer: ClientHandshake.Action) {
        let peer = try dial(port)
        var (handshake, resume) = try peer.resumption(identity, ticket, epoch: epoch, received: received)
        try peer.send(resume)
        return (peer, try handshake.receive(peer.frame(.resumed, .refused)))
    }

    /// Resumes a session on a new carrier, which must succeed.
    static func resumed(
        _ port: UInt16,
        _ identity: Identity,
        _ ticket: WireTicket,
        epoch: UInt64,
        received: UInt64
    ) throws -> (peer: WirePeer, theirs: UInt64) {
        let (peer, answer) = try resume(port, identity, ticket, epoch: epoch, received: received)
        guard case .resumed(let theirs, _, _) = answer else {
            throw ScenarioFailure(description: "epoch \(epoch) was answered with \(answer)")
        }
        return (peer, theirs)
    }
}

/// The server's part.
extension WirePeer {
    /// Authenticates the client, and returns the WELCOME of a session that can be resumed.
    func resumableGrant(grace: UInt32 = 120) throws -> (welcome: OutboundFrame, ticket: WireTicket) {
        var handshake = ServerHandshake(nonce: randomBytes(32), software: "wire/1")
        try send(handshake.challenge)
        return try grant(&handshake, grace: grace)
    }

    /// Refuses a client's RESUME as unknown, and grants a new session.
    func grantNewSession() throws -> (welcome: OutboundFrame, ticket: WireTicket) {
        var handshake = ServerHandshake(nonce: randomBytes(32), software: "wire/1")
        try send(handshake.challenge)
        guard case .resume = try handshake.receive(frame(.resume, .authenticate)),
            try handshake.verifyResume(nil, decoySecret: SymmetricKey(size: .bits256)) == nil
        else { throw ScenarioFailure(description: "the client sent no RESUME") }
        // AUTHENTICATE names the session that was denied.
        try send(handshake.denyResume())
        return try grant(&handshake)
    }

    private func grant(
        _ handshake: inout ServerHandshake,
        grace: UInt32 = 120
    ) throws -> (welcome: OutboundFrame, ticket: WireTicket) {
        guard case .verify = try handshake.receive(frame(.authenticate)),
            let verified = try handshake.verify(
                Identity.alice.credentials.verifier,
                decoySecret: SymmetricKey(size: .bits256)
            )
        else { throw ScenarioFailure(description: "the client's proof is wrong") }
        let welcome = Welcome(session: randomBytes(16), initialWindow: 65_536, grace: grace)
        let (opening, keys) = try verified.opening(welcome)
        return (opening.frame, WireTicket(session: welcome.session, keys: keys))
    }

    /// A client's verified RESUME.
    struct WireResumption {
        let proved: ServerHandshake.Resumed
        var request: Resumption { proved.resumption }

        /// The frame that accepts the carrier.
        func accepted(received: UInt64) throws -> OutboundFrame {
            guard let opening = proved.resumed(received: received) else {
                throw ScenarioFailure(description: "it was answered before")
            }
            return opening.frame
        }
    }

    /// Challenges a client, and requires a RESUME.
    func expectResume(_ ticket: WireTicket) throws -> WireResumption {
        var handshake = ServerHandshake(nonce: randomBytes(32), software: "wire/1")
        try send(handshake.challenge)
        guard case .resume(let session) = try handshake.receive(frame(.resume, .authenticate)) else {
            throw ScenarioFailure(description: "the client sent no RESUME")
        }
        try require(session == ticket.session, "another session")
        guard let proved = try handshake.verifyResume(ticket.keys, decoySecret: SymmetricKey(size: .bits256)) else {
            throw ScenarioFailure(description: "the client's proof is wrong")
        }
        return WireResumption(proved: proved)
    }

    static func refused(_ code: RefusalCode, retryAfter: UInt32? = nil) -> OutboundFrame {
        Refusal(code, "test", retryAfter: retryAfter).frame(.refused)
    }

    static func renew(within seconds: UInt32 = 0) -> OutboundFrame { Renewal(within: seconds).frame }

    static func data(_ text: String, stream: UInt32 = 2) -> OutboundFrame {
        OutboundFrame(.data, StreamID(stream), ByteBuffer(string: text))
    }
}
