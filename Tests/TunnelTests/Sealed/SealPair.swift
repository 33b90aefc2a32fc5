import Crypto
import NIOCore
import Seal
import TestSupport

@testable import Mux
@testable import TunnelCore

/// The seals of both ends of a carrier.
enum SealPair {
    /// Makes a handshake as a client and a server do.
    static func make() throws -> (client: OneTime<CarrierSeal>, server: OneTime<CarrierSeal>) {
        let (key, psk) = (ServerKey(), SymmetricKey(size: .bits256))
        var client = HandshakeState(.client(of: key.publicKey), psk: psk, prologue: [])
        var server = HandshakeState(.server(key), psk: psk, prologue: [])
        _ = try server.read(try client.write([]))
        _ = try client.read(try server.write([]))
        return (OneTime(try client.split()), OneTime(try server.split()))
    }

    /// Makes the messages of both ends.
    static func messages() throws -> (client: SealedMessages, server: SealedMessages) {
        let (client, server) = try make()
        guard let client = client.take(), let server = server.take() else {
            throw ScenarioFailure(description: "a seal was taken before")
        }
        return (SealedMessages(client), SealedMessages(server))
    }
}

extension SealedMessages {
    /// Seals a frame, given as its two parts.
    func seal(_ head: ByteBuffer, _ payload: ByteBuffer) throws -> ByteBuffer {
        var message = ByteBuffer()
        try seal(into: &message) {
            $0.writeImmutableBuffer(head)
            $0.writeImmutableBuffer(payload)
        }
        return message
    }

    /// Seals a frame, given as bytes.
    func seal(_ frame: [UInt8]) throws -> ByteBuffer { try seal(ByteBuffer(), ByteBuffer(bytes: frame)) }

    /// Opens a message that comes in one piece.
    func open(_ message: ByteBuffer) throws -> [UInt8] {
        var piece = message
        try require(try open(&piece, isLast: true), "the message is not complete")
        return Array(piece.readableBytesView)
    }
}
