import Mux
import NIOCore
import WebSocket

/// Measures the cost of a frame in the sessions of both ends, in one process and without sockets. It includes the
/// credit and acknowledgements of the other direction.
struct SessionBench {
    static let sizes = [64, 1_024, 16_384, MuxLimits.maximumData]
    /// The numbers of streams with bytes to send.
    static let streams = [1, 16]
    /// The number of frames of each stream in one iteration.
    private static let framesPerIteration = 4

    struct Row {
        let what: String
        let size: Int
        /// The sessions alone.
        let alone: Cost
        /// The sessions, and a client's masked WebSocket frames.
        let framed: Cost
    }

    static func run() -> [Row] {
        streams.flatMap { count in
            sizes.map { size in
                let payload = ByteBuffer(repeating: 7, count: size)
                let variants = [false, true].map { isFramed in
                    let pair = Pair(streams: count, isFramed: isFramed)
                    return { pair.transfer(payload, times: framesPerIteration) }
                }
                let costs = Stopwatch.compare(variants).map { cost in
                    let frames = Double(count * framesPerIteration)
                    return Cost(seconds: cost.seconds / frames, allocations: cost.allocations / frames)
                }
                let what = count == 1 ? "1 stream" : "\(count) streams"
                return Row(what: what, size: size, alone: costs[0], framed: costs[1])
            }
        }
    }
}

/// A client session that sends, and a server session that receives.
private final class Pair {
    private var client: Session
    private var server: Session
    private var ids: [StreamID] = []
    private var toServer: Wire
    private var toClient: Wire
    /// Advances the time, as between two iterations of an event loop.
    private var nanoseconds: UInt64 = 1_000_000_000

    private var now: Instant { Instant(nanoseconds: nanoseconds) }

    init(streams: Int, isFramed: Bool) {
        let start = Instant(nanoseconds: nanoseconds)
        client = Session(role: .client, peerWindow: 4_194_304, seed: 1, now: start)
        server = Session(role: .server, peerWindow: 4_194_304, seed: 2, now: start)
        toServer = Wire(from: .client, isFramed: isFramed)
        toClient = Wire(from: .server, isFramed: isFramed)
        for _ in 0..<streams {
            if let id = server.open(OpenRequest(tunnel: 0, visitor: "192.0.2.1:1"), now: start) { ids.append(id) }
        }
        exchange()
        for id in ids { client.accept(id, now: start) }
        exchange()
    }

    func transfer(_ payload: ByteBuffer, times: Int) {
        nanoseconds += 100_000
        for _ in 0..<times {
            for id in ids { client.write(id, payload) }
        }
        exchange()
    }

    /// Exchanges frames until neither session has any.
    private func exchange() {
        var isBusy = true
        while isBusy {
            isBusy = false
            while let frame = client.nextFrame(now: now) {
                isBusy = true
                if let arrived = toServer.carry(frame) { try? server.receive(arrived, now: now) }
                while let action = server.nextAction() {
                    guard case .deliver(let id, let bytes) = action else { continue }
                    consume(bytes)
                    server.consumed(id, bytes.readableBytes, now: now)
                }
            }
            while let frame = server.nextFrame(now: now) {
                isBusy = true
                if let arrived = toClient.carry(frame) { try? client.receive(arrived, now: now) }
                while client.nextAction() != nil {}
            }
        }
    }
}

/// The link between two sessions: plain frames, or a WebSocket.
private struct Wire: ~Copyable {
    private let isFramed: Bool
    private var sender: WebSocket.Connection
    private var receiver: WebSocket.Connection
    private var assembler = FrameAssembler()

    init(from role: WebSocketRole, isFramed: Bool) {
        self.isFramed = isFramed
        sender = Connection(role: role)
        receiver = Connection(role: role == .client ? .server : .client)
        assembler.isAdmitted = true
    }

    mutating func carry(_ frame: OutboundFrame) -> InboundFrame? {
        var header = ByteBuffer()
        frame.writeHead(into: &header)
        guard isFramed else {
            guard frame.payload.readableBytes > 0 else { return try? assembler.receive(header, isLast: true) }
            _ = try? assembler.receive(header, isLast: false)
            return try? assembler.receive(frame.payload, isLast: true)
        }
        var bytes = ByteBuffer()
        try? sender.encodeMessage(.binary, prefix: header, payload: frame.payload, into: &bytes)
        receiver.receive(bytes)
        var arrived: InboundFrame?
        while let event = try? receiver.nextEvent() {
            guard case .message(_, let piece, isFirst: _, let isLast) = event else { continue }
            arrived = (try? assembler.receive(piece, isLast: isLast)) ?? arrived
        }
        return arrived
    }
}
