import Foundation
import NIOCore
import TestSupport

@testable import Mux

/// The client's part of the session protocol, step by step.
extension WirePeer {
    /// The opening's AUTHENTICATE for the challenge, which must come next.
    func authentication(
        _ identity: Identity,
        instance: UInt8 = 1,
        window: UInt32 = 65_536,
        name: String = ""
    ) throws -> (opening: ClientHandshake, frame: OutboundFrame) {
        var opening = ClientHandshake(
            credentials: identity.credentials,
            authentication: Authentication(
                id: identity.credentials.id,
                nonce: randomBytes(32),
                instance: [UInt8](repeating: instance, count: 32),
                name: name,
                authority: "localhost",
                initialWindow: window,
                software: "wire/1"
            )
        )
        guard case .send(let authenticate) = try opening.receive(frame(.challenge)) else {
            throw ScenarioFailure(description: "the challenge led to no answer")
        }
        return (opening, authenticate)
    }

    /// A client with a session.
    static func session(
        _ port: UInt16,
        _ identity: Identity,
        instance: UInt8 = 1,
        window: UInt32 = 65_536,
        receiveBuffer: Int32? = nil,
        timeout: Duration = .seconds(120)
    ) throws -> WirePeer {
        let peer = try dial(port, receiveBuffer: receiveBuffer, timeout: timeout)
        var (opening, authenticate) = try peer.authentication(identity, instance: instance, window: window)
        try peer.send(authenticate)
        guard case .established = try opening.receive(peer.frame(.welcome, .refused)) else {
            throw ScenarioFailure(description: "the server refused a right proof")
        }
        return peer
    }

    /// Ends the session as a client does.
    func goodbye() throws {
        try socket.send(encode(Self.goAway(.goingAway)) + webSocketFrame(8, [3, 233]))
        _ = try toTheEnd()
    }

    static func bindRequest(_ port: UInt16, tunnel: UInt16 = 0) -> OutboundFrame {
        BindRequest(tunnel: tunnel, address: "127.0.0.1", port: port).frame
    }

    /// Asks for a port of the server's loopback address.
    ///
    /// - Returns: the refusal, nil where the port was bound.
    func bind(_ port: UInt16, tunnel: UInt16 = 0) throws -> Refusal? {
        try send(Self.bindRequest(port, tunnel: tunnel))
        let answer = try frame(.bound, .unbound)
        return answer.header.type == .bound ? nil : try Refusal(answer.payload, of: .unbound)
    }

    /// A frame like `frame` whose last byte is another: a wrong proof, where it is an AUTHENTICATE.
    static func spoiled(_ frame: OutboundFrame) -> OutboundFrame {
        var bytes = Array(frame.payload.readableBytesView)
        bytes[bytes.count - 1] ^= 1
        return OutboundFrame(frame.header.type, frame.header.stream, ByteBuffer(bytes: bytes))
    }
}

/// The wait between two looks of a thread, as `eventually` waits between two of a task.
func pause() {
    Thread.sleep(forTimeInterval: 0.07)
}
