import NIOCore
import NIOEmbedded
import NIOWebSocket
import WebSocket

/// Compares encoding and decoding of whole binary messages with the handlers of NIOWebSocket.
struct FrameBench {
    static let sizes = [64, 1_024, 16_384, 65_536]
    /// The number of frames in one buffer, as in one read of a busy socket.
    private static let batch = 4

    struct Row {
        let what: String
        let size: Int
        let ours: Cost
        let theirs: Cost?
    }

    static func run() -> [Row] {
        sizes.flatMap { size in
            [
                encode(size, role: .server), encode(size, role: .client), decode(size, role: .client),
                decode(size, role: .server),
            ]
        }
    }

    private static func payload(_ size: Int) -> ByteBuffer {
        ByteBuffer(bytes: (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31) })
    }

    private static func encode(_ size: Int, role: WebSocketRole) -> Row {
        let payload = payload(size)
        let ours = Encoder(role: role)
        let channel = EmbeddedChannel(handler: WebSocketFrameEncoder())
        let isMasked = role == .client
        let costs = Stopwatch.compare([
            { ours.encode(payload) },
            {
                let key: WebSocketMaskingKey? = isMasked ? .random() : nil
                let frame = NIOWebSocket.WebSocketFrame(fin: true, opcode: .binary, maskKey: key, data: payload)
                _ = try? channel.writeOutbound(frame)
                while let part = try? channel.readOutbound(as: ByteBuffer.self) { consume(part) }
            },
        ])
        return Row(what: isMasked ? "encode, masked" : "encode", size: size, ours: costs[0], theirs: costs[1])
    }

    /// Measures the receiving end with this role.
    private static func decode(_ size: Int, role: WebSocketRole) -> Row {
        var wire = ByteBuffer()
        var sender = Connection(role: role == .server ? .client : .server)
        for _ in 0..<batch {
            guard (try? sender.encodeMessage(.binary, payload: payload(size), into: &wire)) != nil else { break }
        }
        let ours = Decoder(role: role)
        let channel = EmbeddedChannel(
            handler: ByteToMessageHandler(WebSocketFrameDecoder(maxFrameSize: 1 << 20))
        )
        let isMasked = role == .server
        // Each repetition gets a new buffer, as from a socket, so that the decoder may unmask in place.
        let costs = Stopwatch.compare([
            { ours.decode(copy(wire)) },
            {
                _ = try? channel.writeInbound(copy(wire))
                while let frame = try? channel.readInbound(as: NIOWebSocket.WebSocketFrame.self) {
                    consume(isMasked ? frame.unmaskedData : frame.data)
                }
            },
            { consume(copy(wire)) },
        ])
        func each(_ cost: Cost) -> Cost {
            Cost(
                seconds: (cost.seconds - costs[2].seconds) / Double(batch),
                allocations: (cost.allocations - costs[2].allocations) / Double(batch)
            )
        }
        return Row(
            what: isMasked ? "decode, masked" : "decode",
            size: size,
            ours: each(costs[0]),
            theirs: each(costs[1])
        )
    }

    private static func copy(_ buffer: ByteBuffer) -> ByteBuffer {
        ByteBuffer(bytes: buffer.readableBytesView)
    }
}

/// Keeps the optimiser from removing the measured work.
@inline(never)
func consume(_ buffer: ByteBuffer) {
    precondition(buffer.readableBytes >= 0)
}

/// Measures sending into one reused buffer.
private final class Encoder {
    private var connection: Connection
    private var out = ByteBuffer()

    init(role: WebSocketRole) {
        connection = Connection(role: role)
    }

    func encode(_ payload: ByteBuffer) {
        out.clear()
        guard (try? connection.encodeMessage(.binary, payload: payload, into: &out)) != nil else { return }
        consume(out)
    }
}

/// Measures receiving.
private final class Decoder {
    private var connection: Connection

    init(role: WebSocketRole) {
        connection = Connection(role: role)
    }

    func decode(_ wire: ByteBuffer) {
        connection.receive(wire)
        while let event = try? connection.nextEvent() {
            if case .message(_, let bytes, isFirst: _, isLast: _) = event { consume(bytes) }
        }
    }
}
