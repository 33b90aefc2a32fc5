import Crypto
import NIOCore
import TestSupport
import Testing

@testable import Mux

/// A client and a server that exchange frames over one carrier after another, with a record of every frame.
///
/// Nonces, tokens and times are fixed, so the same calls give the same bytes. A frame arrives after 5 ms.
struct Conversation {
    private static let hop = Duration.milliseconds(5)
    private static let decoySecret = SymmetricKey(data: [UInt8](repeating: 9, count: 32))
    private static let name = [UInt8](repeating: 0x53, count: 16)

    var client: Session
    var server: Session
    private(set) var lines: [String] = []
    private(set) var now = Instant.start
    /// The numbers of the carrier that both sessions use, and of the newest carrier.
    private var carrier = 0
    private var newest = 0
    private var epoch: UInt64 = 0
    private var keys = SessionKeys(resume: SymmetricKey(size: .bits256))
    private var assemblers: [Role: FrameAssembler] = [:]

    /// Creates two ends before their first carrier. Each lets the other send `window` bytes on a new stream.
    init(window: UInt32 = 1_000) {
        let limits = limits { $0.initialWindow = Int(window) }
        client = Session(role: .client, limits: limits, peerWindow: window, seed: 1, now: .start)
        server = Session(role: .server, limits: limits, peerWindow: window, seed: 2, now: .start)
        self.window = window
    }

    private let window: UInt32

    mutating func note(_ text: String) { lines.append("# \(text)") }

    // MARK: Handshakes

    /// The optional parts of a handshake.
    struct Terms {
        var streams: UInt32?
        var opening: UInt32?
        var ticket: [UInt8] = []
    }

    private mutating func newHandshakes(_ terms: Terms) throws -> (server: ServerHandshake, client: ClientHandshake) {
        newest += 1
        let credentials = try #require(HandshakePair.token)
        let authentication = Authentication(
            id: credentials.id,
            nonce: nonce(0xc0),
            instance: [UInt8](repeating: 0x49, count: 32),
            name: "laptop",
            authority: "tunnel.example.com:443",
            initialWindow: window,
            software: "culvert 1.2.4",
            streams: terms.streams,
            opening: terms.opening
        )
        return (
            ServerHandshake(nonce: nonce(0x50), software: "culvert 1.2.3"),
            ClientHandshake(credentials: credentials, authentication: authentication)
        )
    }

    /// A nonce that differs for each carrier.
    private func nonce(_ base: UInt8) -> [UInt8] { [UInt8](repeating: base + UInt8(newest), count: 32) }

    /// Begins a session on a new carrier.
    mutating func authenticate(_ terms: Terms = Terms()) throws {
        var (atServer, atClient) = try newHandshakes(terms)
        record(atServer.challenge, from: .server, on: newest)
        guard case .send(let request) = try atClient.receive(atServer.challenge.arrived) else { throw Unexpected() }
        try welcome(&atServer, &atClient, request, terms)
    }

    private mutating func welcome(
        _ atServer: inout ServerHandshake,
        _ atClient: inout ClientHandshake,
        _ request: OutboundFrame,
        _ terms: Terms
    ) throws {
        record(request, from: .client, on: newest)
        guard case .verify = try atServer.receive(request.arrived) else { throw Unexpected() }
        let verified = try atServer.verify(try #require(HandshakePair.token).verifier, decoySecret: Self.decoySecret)
        let welcome = Welcome(session: Self.name, initialWindow: window, grace: 120, ticket: terms.ticket)
        let answer = try #require(verified).frame(welcome)
        record(answer, from: .server, on: newest)
        guard case .established(let grant) = try atClient.receive(answer.arrived) else { throw Unexpected() }
        keys = grant.keys
        moveToNewest()
    }

    /// Moves the session to a new carrier. The old one may still work.
    mutating func resume(ticket: [UInt8] = []) throws {
        var (atServer, atClient) = try newHandshakes(Terms())
        let request = try askToResume(atServer, &atClient)
        guard case .resume = try atServer.receive(request.arrived),
            let proof = try atServer.verifyResume(keys, decoySecret: Self.decoySecret)
        else { throw Unexpected() }
        let answer = try #require(proof.resumed(received: server.received(), ticket: ticket)).frame
        record(answer, from: .server, on: newest)
        guard case .resumed(let received, _, _) = try atClient.receive(answer.arrived) else { throw Unexpected() }
        moveToNewest()
        try server.attach(peerReceived: proof.resumption.received, now: now)
        try client.attach(peerReceived: received, now: now)
    }

    /// Resumes a session that the server does not know. The client then authenticates on the same carrier.
    mutating func resumeUnknownSession() throws {
        var (atServer, atClient) = try newHandshakes(Terms())
        let request = try askToResume(atServer, &atClient)
        guard case .resume = try atServer.receive(request.arrived),
            try atServer.verifyResume(nil, decoySecret: Self.decoySecret) == nil
        else { throw Unexpected() }
        let refusal = atServer.denyResume()
        record(refusal, from: .server, on: newest)
        guard case .denied(let anew) = try atClient.receive(refusal.arrived) else { throw Unexpected() }
        try welcome(&atServer, &atClient, anew, Terms())
    }

    /// Authenticates with a token that the server refuses.
    mutating func authenticateWithWrongToken() throws {
        var (atServer, atClient) = try newHandshakes(Terms())
        record(atServer.challenge, from: .server, on: newest)
        guard case .send(let request) = try atClient.receive(atServer.challenge.arrived) else { throw Unexpected() }
        record(request, from: .client, on: newest)
        _ = try atServer.receive(request.arrived)
        guard try atServer.verify(nil, decoySecret: Self.decoySecret) == nil else { throw Unexpected() }
        let refusal = Refusal(.credentials, "the server does not accept this token", retryAfter: 30)
        record(atServer.refuse(refusal), from: .server, on: newest)
    }

    private mutating func askToResume(
        _ atServer: ServerHandshake,
        _ atClient: inout ClientHandshake
    ) throws -> OutboundFrame {
        epoch += 1
        record(atServer.challenge, from: .server, on: newest)
        let resumption = Resumption(session: Self.name, epoch: epoch, received: client.received(), nonce: nonce(0xc0))
        let ticket = ClientHandshake.Ticket(resumption, keys: keys)
        guard case .send(let request) = try atClient.receive(atServer.challenge.arrived, ticket: ticket) else {
            throw Unexpected()
        }
        record(request, from: .client, on: newest)
        return request
    }

    private mutating func moveToNewest() {
        carrier = newest
        for role in [Role.client, .server] {
            var assembler = FrameAssembler()
            assembler.isAdmitted = true
            assemblers[role] = assembler
        }
    }

    // MARK: The session

    /// Lets both ends send in turn until neither has frames.
    mutating func flow() throws {
        while true {
            let (toClient, toServer) = (try send(from: .server), try send(from: .client))
            guard toClient + toServer > 0 else { return }
        }
    }

    /// Lets one end send its frames.
    ///
    /// - Parameter arriving: the number of frames that reach the other end; the others are lost with the carrier.
    /// - Returns: the number of frames that left.
    @discardableResult
    mutating func send(from role: Role, arriving: Int = .max) throws -> Int {
        let frames = role == .server ? server.frames(now) : client.frames(now)
        guard !frames.isEmpty else { return 0 }
        now = now + Self.hop
        for (index, frame) in frames.enumerated() {
            let isLost = index >= arriving
            record(frame, from: role, on: carrier, isLost: isLost)
            if !isLost { try deliver(frame, to: role.peer) }
        }
        return frames.count
    }

    private mutating func deliver(_ frame: OutboundFrame, to role: Role) throws {
        let arrived = try assemblers[role]?.receive(buffer(frame.wire), isLast: true)
        let inbound = try #require(arrived)
        if role == .server {
            try server.receive(inbound, now: now)
            _ = server.actions()
        } else {
            try client.receive(inbound, now: now)
            _ = client.actions()
        }
    }

    /// Advances the time and lets both ends do what is due.
    mutating func pass(_ time: Duration) throws {
        now = now + time
        try server.tick(now: now)
        try client.tick(now: now)
        try flow()
    }

    /// Takes the carrier from both ends.
    mutating func lose() {
        note("carrier \(carrier) is gone")
        server.detach(now: now)
        client.detach(now: now)
    }

    /// Adds a frame to the transcript.
    mutating func record(_ frame: OutboundFrame, from role: Role, on carrier: Int, isLost: Bool = false) {
        let wire = frame.wire
        let stream = frame.header.stream.rawValue
        let name = WireText.name(ofFrame: wire[0]) + (stream == 0 ? "" : " \(stream)")
        let direction = role == .server ? "server>client" : "client>server"
        let header = WireText.hexadecimal(wire.prefix(8))
        let line = "\(carrier) \(direction) \(name): \(header) \(WireText.hexadecimal(wire.dropFirst(8)))"
        lines.append((line.hasSuffix(" ") ? String(line.dropLast()) : line) + (isLost ? " (lost)" : ""))
    }
}

/// A handshake that differs from the transcript.
struct Unexpected: Error {}
