import Foundation
import Logging
import Mux
import NIOCore
import NIOEmbedded
import Testing
import WebSocket

@testable import Tunnel

/// A stranger's connection until it is a WebSocket or gone, on a channel without a socket.
@Suite("Strangers at the endpoint")
struct UpgradeHandlerTests {
    private static let upgrade = """
        GET /tunnel HTTP/1.1\r
        Host: localhost\r
        Upgrade: websocket\r
        Connection: Upgrade\r
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r
        Sec-WebSocket-Version: 13\r
        Sec-WebSocket-Protocol: culvert-tunnel.v1\r
        \r

        """

    /// What the handler answers to each piece in turn, and whether it has upgraded.
    private func play(_ pieces: [String]) throws -> (answer: String, hasUpgraded: Bool, isOpen: Bool) {
        var hasUpgraded = false
        let handler = UpgradeHandler(
            upgrade: ServerUpgrade(path: "/tunnel", subprotocols: ["culvert-tunnel.v1"]),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            throttle: LogThrottle()
        ) { _, _ in hasUpgraded = true }
        let channel = EmbeddedChannel(handler: handler)
        for piece in pieces { try channel.writeInbound(ByteBuffer(string: piece)) }
        var answer = ""
        while let part = try channel.readOutbound(as: ByteBuffer.self) { answer += String(buffer: part) }
        return (answer, hasUpgraded, channel.isActive)
    }

    @Test("an upgrade is answered with 101, whole or byte by byte")
    func upgrade() throws {
        for pieces in [[Self.upgrade], Self.upgrade.map(String.init)] {
            let (answer, hasUpgraded, _) = try play(pieces)
            #expect(answer.hasPrefix("HTTP/1.1 101 "))
            #expect(hasUpgraded)
        }
    }

    @Test("H22 what follows a refused request on the same connection is not looked at")
    func secondRequest() throws {
        let refused = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
        let (answer, hasUpgraded, _) = try play([refused, Self.upgrade, Self.upgrade])
        #expect(answer.hasPrefix("HTTP/1.1 404 "))
        #expect(answer.components(separatedBy: "HTTP/1.1").count == 2)
        #expect(answer.contains("Connection: close"))
        #expect(!hasUpgraded)
    }

    @Test("H24 what cannot be HTTP is closed without a word", arguments: ["\u{16}\u{3}\u{1}", "\u{0}", "\u{80}\u{1}"])
    func noise(bytes: String) throws {
        let (answer, hasUpgraded, isOpen) = try play([bytes])
        #expect(answer.isEmpty)
        #expect(!hasUpgraded && !isOpen)
    }

    @Test("H18 a head that is too long is refused with 431, before its end")
    func longHead() throws {
        let (answer, _, _) = try play(["GET /tunnel HTTP/1.1\r\nX: " + String(repeating: "x", count: 9_000)])
        #expect(answer.hasPrefix("HTTP/1.1 431 "))
    }

    @Test("W25 a peer that never answers our Close is closed after five seconds")
    func unansweredClose() throws {
        let channel = EmbeddedChannel()
        let witness = Witness()
        let carrier = Carrier(role: .server, deflate: nil, receiver: witness)
        try channel.pipeline.syncOperations.addHandler(carrier)
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        carrier.close(.goingAway, reason: "done")
        let close = try #require(try channel.readOutbound(as: ByteBuffer.self))
        #expect(close.readableBytesView.first == 0x88)
        channel.embeddedEventLoop.advanceTime(by: .milliseconds(4_999))
        #expect(channel.isActive)
        channel.embeddedEventLoop.advanceTime(by: .milliseconds(1))
        #expect(!channel.isActive)
        #expect(witness.losses == 1)
    }

    @Test("W27 twenty pings are answered, and the next one ends the carrier with 1008")
    func pingFlood() throws {
        let channel = EmbeddedChannel()
        let witness = Witness()
        let carrier = Carrier(role: .server, deflate: nil, receiver: witness)
        try channel.pipeline.syncOperations.addHandler(carrier)
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        var peer = Connection(role: .client)
        for count in 1...21 {
            try peer.ping(ByteBuffer(string: "x"))
            let ping = peer.takeOutput()
            try channel.writeInbound(try #require(ping))
            #expect(channel.isActive == (count <= 20))
        }
        var answers: [UInt8] = []
        while let part = try channel.readOutbound(as: ByteBuffer.self) { answers += part.readableBytesView }
        // Close, its length, 1008.
        let close = answers.drop { $0 != 0x88 }
        #expect(close.dropFirst(2).prefix(2).elementsEqual([0x03, 0xF0]))
        #expect(witness.losses == 1)
    }
}

/// Counts what a carrier tells its receiver.
private final class Witness: CarrierReceiver {
    var losses = 0

    func carrier(received frame: InboundFrame) {}
    func carrier(violatedBy error: MuxError) {}
    func carrierReadCompleted() {}
    func carrierBecameWritable() {}
    func carrierLost(_ loss: CarrierLoss) { losses += 1 }
}
