import Crypto
import NIOCore
import TestSupport

@testable import Mux

/// What brings a session another carrier, spoken by hand.
struct WireTicket: Sendable {
    let session: [UInt8]
    var key: SymmetricKey

    func resumption(epoch: UInt64, received: UInt64) -> ClientHandshake.Ticket {
        let nonce = WirePeer.randomBytes32
        return .init(Resumption(session: session, epoch: epoch, received: received, nonce: nonce), key: key)
    }
}

/// The client's part.
extension WirePeer {
    static var randomBytes32: [UInt8] { randomBytes(32) }

    /// A client with a session, and what brings that another carrier.
    static func lastingSession(
        _ port: UInt16,
        _ identity: Identity,
        instance: UInt8 = 1
    ) throws -> (peer: WirePeer, ticket: WireTicket) {
        let peer = try dial(port)
        var (opening, authenticate) = try peer.authentication(identity, instance: instance)
        try peer.send(authenticate)
        guard case .established(let grant) = try opening.receive(peer.frame(.welcome, .refused)) else {
            throw ScenarioFailure(description: "the server refused a right proof")
        }
        return (peer, WireTicket(session: grant.welcome.session, key: grant.resumeKey))
    }

    /// The opening's RESUME for the challenge, which must come next.
    func resumption(
        _ identity: Identity,
        _ ticket: WireTicket,
        epoch: UInt64,
        received: UInt64
    ) throws -> (opening: ClientHandshake, frame: OutboundFrame) {
        var opening = ClientHandshake(
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
        guard case .send(let resume) = try opening.receive(frame(.challenge), ticket: ticket) else {
            throw ScenarioFailure(description: "the challenge led to no answer")
        }
        return (opening, resume)
    }

    /// A new carrier that asks for a session.
    ///
    /// - Returns: what the server answered, proved where it agreed.
    static func resume(
        _ port: UInt16,
        _ identity: Identity,
        _ ticket: WireTicket,
        epoch: UInt64,
        received: UInt64
    ) throws -> (peer: WirePeer, answer: ClientHandshake.Action) {
        let peer = try dial(port)
        var (opening, resume) = try peer.resumption(identity, ticket, epoch: epoch, received: received)
        try peer.send(resume)
        return (peer, try opening.receive(peer.frame(.resumed, .refused)))
    }

    /// The same, which must succeed.
    static func resumed(
        _ port: UInt16,
        _ identity: Identity,
        _ ticket: WireTicket,
        epoch: UInt64,
        received: UInt64
    ) throws -> (peer: WirePeer, theirs: UInt64) {
        let (peer, answer) = try resume(port, identity, ticket, epoch: epoch, received: received)
        guard case .resumed(let theirs, _) = answer else {
            throw ScenarioFailure(description: "epoch \(epoch) was answered with \(answer)")
        }
        return (peer, theirs)
    }
}

/// The server's part.
extension WirePeer {
    /// The frame that grants a session that outlives its carrier, once the client has authenticated.
    func lastingGrant(grace: UInt32 = 120) throws -> (welcome: OutboundFrame, ticket: WireTicket) {
        var opening = ServerHandshake(nonce: randomBytes(32), software: "wire/1")
        try send(opening.challenge)
        return try grant(&opening, grace: grace)
    }

    /// Refuses a client's wish to go on, as a server that has forgotten the session, and grants another one.
    func grantAnew() throws -> (welcome: OutboundFrame, ticket: WireTicket) {
        var opening = ServerHandshake(nonce: randomBytes(32), software: "wire/1")
        try send(opening.challenge)
        guard case .resume = try opening.receive(frame(.resume, .authenticate)),
            opening.verifyResume(nil, decoySecret: SymmetricKey(size: .bits256)) == nil
        else { throw ScenarioFailure(description: "the client does not want to go on") }
        try send(Self.refused(.unknownSession))
        return try grant(&opening)
    }

    private func grant(
        _ opening: inout ServerHandshake,
        grace: UInt32 = 120
    ) throws -> (welcome: OutboundFrame, ticket: WireTicket) {
        guard case .verify = try opening.receive(frame(.authenticate)),
            let verified = opening.verify(
                Identity.alice.credentials.verifier,
                decoySecret: SymmetricKey(size: .bits256)
            )
        else { throw ScenarioFailure(description: "the client's proof is wrong") }
        let welcome = Welcome(session: randomBytes(16), initialWindow: 65_536, grace: grace)
        return (verified.welcome(welcome), WireTicket(session: welcome.session, key: verified.resumeKey))
    }

    /// A client's wish to go on with its session on this carrier.
    struct WireResumption {
        let wish: Resumption
        let proved: ServerHandshake.Resumed
    }

    /// Challenges a client that must want to go on with its session.
    func expectResume(_ ticket: WireTicket) throws -> WireResumption {
        var opening = ServerHandshake(nonce: randomBytes(32), software: "wire/1")
        try send(opening.challenge)
        guard case .resume(let wish) = try opening.receive(frame(.resume, .authenticate)) else {
            throw ScenarioFailure(description: "the client does not want to go on")
        }
        try require(wish.session == ticket.session, "another session")
        guard let proved = opening.verifyResume(ticket.key, decoySecret: SymmetricKey(size: .bits256)) else {
            throw ScenarioFailure(description: "the client's proof is wrong")
        }
        return WireResumption(wish: wish, proved: proved)
    }

    static func refused(_ code: RefusalCode, retryAfter: UInt32? = nil) -> OutboundFrame {
        Refusal(code, "as the test wants it", retryAfter: retryAfter).frame(.refused)
    }

    static func renew(within seconds: UInt32 = 0) -> OutboundFrame { Renewal(within: seconds).frame }

    static func data(_ text: String, stream: UInt32 = 2) -> OutboundFrame {
        OutboundFrame(.data, StreamID(stream), ByteBuffer(string: text))
    }
}
