import Mux
import NIOCore
import NIOEmbedded
import TestSupport
import Testing
import WebSocket

@testable import TunnelAdmin
@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer

/// The WebSocket messages that a carrier writes. A client's random masks are removed.
@Suite("A carrier's bytes") struct CarrierWireTests {
    @Test("Each session frame is one binary message in both roles, a ping is answered, and a Close has its reason")
    func messages() throws {
        var lines: [String] = []
        for role in [WebSocketRole.server, .client] {
            let wire = try Wire(role)
            func note(_ title: String) throws {
                lines.append("# \(role): \(title)")
                lines += try wire.messages(areMasked: role == .client)
            }
            wire.carrier.send(OutboundFrame(.accept, StreamID(2)))
            wire.carrier.send(OutboundFrame(.end, StreamID(2)))
            try note("nothing before a flush")
            wire.carrier.flush()
            try note("two small frames")
            // Lengths below and at the limit from which a server does not copy the payload, and the maximum.
            for length in [4_095, 4_096, 65_536] {
                wire.carrier.send(OutboundFrame(.data, StreamID(2), ByteBuffer(repeating: 0x61, count: length)))
            }
            wire.carrier.send(OutboundFrame(.end, StreamID(4)))
            wire.carrier.flush()
            try note("long frames among small ones")
            let ping: [UInt8] = role == .client ? [0x89, 2, 0x68, 0x69] : [0x89, 0x82, 0, 0, 0, 0, 0x68, 0x69]
            try wire.channel.writeInbound(ByteBuffer(bytes: ping))
            try note("the answer to a ping")
            wire.carrier.close(.goingAway, reason: "another carrier has taken over")
            try note("a close")
        }
        let difference = try GoldenFile.difference(of: lines, from: "websocket/transcripts/carrier.transcript")
        #expect(difference == nil, "\(difference ?? "")")
    }
}

/// A carrier on a channel without a socket.
private struct Wire {
    let channel = EmbeddedChannel()
    let carrier: Carrier
    private let receiver = SilentReceiver()

    init(_ role: WebSocketRole) throws {
        carrier = Carrier(role: role, deflate: nil, receiver: receiver)
        try channel.pipeline.syncOperations.addHandler(carrier)
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        carrier.admit(receiver)
    }

    /// The messages since the last call, one line each: the first two bytes without the mask bit, the extended length,
    /// and the payload.
    func messages(areMasked: Bool) throws -> [String] {
        var bytes = ByteBuffer()
        while let next = try channel.readOutbound(as: ByteBuffer.self) { bytes.writeImmutableBuffer(next) }
        var lines: [String] = []
        while let first: UInt8 = bytes.readInteger(), let second: UInt8 = bytes.readInteger() {
            #expect((second & 0x80 != 0) == areMasked)
            var (head, length) = ([first, second & 0x7F], Int(second & 0x7F))
            if length > 125 {
                let long = bytes.readBytes(length: length == 126 ? 2 : 8) ?? []
                length = long.reduce(0) { $0 << 8 | Int($1) }
                head += long
            }
            let mask = areMasked ? bytes.readBytes(length: 4) ?? [] : [0, 0, 0, 0]
            let masked = bytes.readBytes(length: length)
            let payload = try #require(masked).enumerated().map { $1 ^ mask[$0 % 4] }
            lines.append("\(WireText.hexadecimal(head)) \(WireText.hexadecimal(payload))")
        }
        return lines
    }
}

private final class SilentReceiver: CarrierReceiver {
    func carrier(received frame: InboundFrame) {}
    func carrierReadCompleted() {}
    func carrierBecameWritable() {}
    func carrier(violatedBy error: MuxError) {}
    func carrierLost(_ loss: CarrierLoss) {}
}
