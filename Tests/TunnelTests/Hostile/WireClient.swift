import Foundation
import NIOCore
import TestSupport

@testable import Mux
@testable import TunnelCore

/// The client's part of the session protocol.
extension WirePeer {
    /// Receives the challenge, and returns the AUTHENTICATE for it.
    func authentication(
        _ identity: Identity,
        instance: UInt8 = 1,
        window: UInt32 = 65_536,
        name: String = "",
        encryption: ClientHandshake.Encryption = .off
    ) throws -> (handshake: ClientHandshake, frame: OutboundFrame) {
        var handshake = ClientHandshake(
            credentials: identity.credentials,
            authentication: Authentication(
                id: identity.credentials.id,
                nonce: randomBytes(32),
                instance: [UInt8](repeating: instance, count: 32),
                name: name,
                authority: "localhost",
                initialWindow: window,
                software: "wire/1"
            ),
            encryption: encryption
        )
        guard case .send(let authenticate) = try handshake.receive(frame(.challenge)) else {
            throw ScenarioFailure(description: "the handshake has no answer to the challenge")
        }
        return (handshake, authenticate)
    }

    /// Connects a client with a session, which is sealed unless `encryption` says otherwise.
    static func sealedSession(
        _ port: UInt16,
        _ identity: Identity,
        instance: UInt8 = 1,
        encryption: ClientHandshake.Encryption = .anyKey
    ) throws -> (peer: WirePeer, ticket: WireTicket) {
        let peer = try dial(port)
        var (handshake, authenticate) = try peer.authentication(identity, instance: instance, encryption: encryption)
        try peer.send(authenticate)
        guard case .established(let grant) = try handshake.receive(peer.frame(.welcome, .refused)) else {
            throw ScenarioFailure(description: "the server refused a valid proof")
        }
        if let seal = grant.seal?.take() { peer.seal = SealedMessages(seal) }
        return (peer, WireTicket(session: grant.welcome.session, keys: grant.keys))
    }

    /// Resumes a sealed session on a new carrier, which must succeed.
    static func sealedResume(_ port: UInt16, _ identity: Identity, _ ticket: WireTicket, epoch: UInt64) throws
        -> WirePeer
    {
        let peer = try dial(port)
        var (handshake, resume) = try peer.resumption(identity, ticket, epoch: epoch, received: 0)
        try peer.send(resume)
        guard case .resumed(_, _, let seal) = try handshake.receive(peer.frame(.resumed, .refused)) else {
            throw ScenarioFailure(description: "the server did not accept the RESUME")
        }
        if let seal = seal?.take() { peer.seal = SealedMessages(seal) }
        return peer
    }

    /// Connects a client with a session.
    static func session(
        _ port: UInt16,
        _ identity: Identity,
        instance: UInt8 = 1,
        window: UInt32 = 65_536,
        receiveBuffer: Int32? = nil,
        timeout: Duration = .seconds(120)
    ) throws -> WirePeer {
        let peer = try dial(port, receiveBuffer: receiveBuffer, timeout: timeout)
        var (handshake, authenticate) = try peer.authentication(identity, instance: instance, window: window)
        try peer.send(authenticate)
        guard case .established = try handshake.receive(peer.frame(.welcome, .refused)) else {
            throw ScenarioFailure(description: "the server refused a valid proof")
        }
        return peer
    }

    /// Ends the session with GOAWAY and Close.
    func endSession() throws {
        try socket.send(encode(Self.goAway(.goingAway)) + webSocketFrame(8, [3, 233]))
        _ = try readToEnd()
    }

    static func bindRequest(_ port: UInt16, tunnel: UInt16 = 0) -> OutboundFrame {
        BindRequest(tunnel: tunnel, address: "127.0.0.1", port: port).frame
    }

    /// Requests a port on the server's loopback address.
    ///
    /// - Returns: the refusal; nil if the port was bound.
    func bind(_ port: UInt16, tunnel: UInt16 = 0) throws -> Refusal? {
        try send(Self.bindRequest(port, tunnel: tunnel))
        let answer = try frame(.bound, .unbound)
        return answer.header.type == .bound ? nil : try Refusal(answer.payload, of: .unbound)
    }

    /// A copy of `frame` with another last byte, which makes a proof wrong.
    static func corrupted(_ frame: OutboundFrame) -> OutboundFrame {
        var bytes = Array(frame.payload.readableBytesView)
        bytes[bytes.count - 1] ^= 1
        return OutboundFrame(frame.header.type, frame.header.stream, ByteBuffer(bytes: bytes))
    }
}

/// Waits between two checks of a thread.
func pause() {
    Thread.sleep(forTimeInterval: 0.07)
}
