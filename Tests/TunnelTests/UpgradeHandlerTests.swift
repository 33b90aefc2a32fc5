import Foundation
import HTTP1
import Logging
import Mux
import NIOCore
import NIOEmbedded
import Testing
import WebSocket

@testable import TunnelAdmin
@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer

/// A stranger's connection up to the WebSocket or its end, on a channel without a socket.
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

    /// Sends chunks in turn, and returns the handler's answer and state.
    private func exchange(_ pieces: [String], limits: HeadLimits = .request) throws -> (
        answer: String, hasUpgraded: Bool, isOpen: Bool
    ) {
        var hasUpgraded = false
        let handler = UpgradeHandler(
            upgrade: ServerUpgrade(path: "/tunnel", subprotocols: ["culvert-tunnel.v1"]),
            limits: limits,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            throttle: LogThrottle(lines: ServerLimits().logLines)
        ) { _, _ in hasUpgraded = true }
        let channel = EmbeddedChannel(handler: handler)
        for piece in pieces { try channel.writeInbound(ByteBuffer(string: piece)) }
        var answer = ""
        while let part = try channel.readOutbound(as: ByteBuffer.self) { answer += String(buffer: part) }
        return (answer, hasUpgraded, channel.isActive)
    }

    @Test("An upgrade is answered with 101, whole or byte by byte")
    func upgrade() throws {
        for pieces in [[Self.upgrade], Self.upgrade.map(String.init)] {
            let (answer, hasUpgraded, _) = try exchange(pieces)
            #expect(answer.hasPrefix("HTTP/1.1 101 "))
            #expect(hasUpgraded)
        }
    }

    @Test("H22 bytes after a refused request on the same connection are discarded")
    func secondRequest() throws {
        let refused = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
        let (answer, hasUpgraded, _) = try exchange([refused, Self.upgrade, Self.upgrade])
        #expect(answer.hasPrefix("HTTP/1.1 404 "))
        #expect(answer.components(separatedBy: "HTTP/1.1").count == 2)
        #expect(answer.contains("Connection: close"))
        #expect(!hasUpgraded)
    }

    @Test(
        "H24 a connection with bytes that cannot be HTTP is closed without an answer",
        arguments: ["\u{16}\u{3}\u{1}", "\u{0}", "\u{80}\u{1}"]
    )
    func noise(bytes: String) throws {
        let (answer, hasUpgraded, isOpen) = try exchange([bytes])
        #expect(answer.isEmpty)
        #expect(!hasUpgraded && !isOpen)
    }

    @Test("H18 a head that is too long is refused with 431 before its end")
    func longHead() throws {
        let (answer, _, _) = try exchange(["GET /tunnel HTTP/1.1\r\nX: " + String(repeating: "x", count: 9_000)])
        #expect(answer.hasPrefix("HTTP/1.1 431 "))
    }

    @Test(
        "H18 a head at the configured limits is accepted, and one with a longer head, line or more fields is refused"
    )
    func configuredHead() throws {
        let head = Self.upgrade
        let (bytes, fields, line) = (head.utf8.count, 6, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==".utf8.count)
        for (less, status) in [([0, 0, 0], "101"), ([1, 0, 0], "431"), ([0, 1, 0], "431"), ([0, 0, 1], "431")] {
            let limits = HeadLimits(
                maximumBytes: bytes - less[0],
                maximumFields: fields - less[1],
                maximumLineBytes: line - less[2]
            )
            let (answer, _, _) = try exchange([head], limits: limits)
            #expect(answer.hasPrefix("HTTP/1.1 \(status) "), "\(less): \(answer)")
        }
    }

    @Test("W25 a peer that never answers a Close is closed after 5 s")
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

    @Test("W16 a message may have the maximum of fragments, and one more ends the carrier")
    func fragments() throws {
        var limits = CarrierLimits()
        limits.fragments = 3
        for (count, isOpen) in [(3, true), (4, false)] {
            let channel = EmbeddedChannel()
            let witness = Witness()
            let carrier = Carrier(role: .server, limits: limits, deflate: nil, receiver: witness)
            try channel.pipeline.syncOperations.addHandler(carrier)
            try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
            // A PING of the session in fragments of a few bytes.
            let frame: [UInt8] = [0x30, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]
            for index in 0..<count {
                let piece = index == count - 1 ? frame[(4 * index)...] : frame[(4 * index)..<(4 * index + 4)]
                let head: [UInt8] = [(index == count - 1 ? 0x80 : 0) | (index == 0 ? 2 : 0), 0x80 | UInt8(piece.count)]
                _ = try? channel.writeInbound(ByteBuffer(bytes: head + [0, 0, 0, 0] + piece))
            }
            #expect(channel.isActive == isOpen)
            #expect(witness.frames == (isOpen ? 1 : 0))
        }
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
        // The frame has the opcode Close, its length, and 1008.
        let close = answers.drop { $0 != 0x88 }
        #expect(close.dropFirst(2).prefix(2).elementsEqual([0x03, 0xF0]))
        #expect(witness.losses == 1)
    }
}

/// Counts the calls of a carrier.
private final class Witness: CarrierReceiver {
    var losses = 0
    var frames = 0

    func carrier(received frame: InboundFrame) { frames += 1 }
    func carrier(violatedBy error: MuxError) {}
    func carrierReadCompleted() {}
    func carrierBecameWritable() {}
    func carrierLost(_ loss: CarrierLoss) { losses += 1 }
}
