import NIOCore
import TestSupport
import WebSocket

@testable import Mux
@testable import TunnelCore

/// A manual end of a carrier on a blocking socket, with which a test can violate the protocol. One thread uses it.
///
/// It answers PINGs of the session while ``isAlive`` is true, and does nothing else by itself.
final class WirePeer {
    /// A received item.
    enum Received {
        case frame(InboundFrame)
        case pong
        case close(CloseCode?)
        /// The connection has ended with FIN or RST.
        case ended
    }

    let socket: TCPSocket
    let role: WebSocketRole
    private var connection: WebSocket.Connection
    private var assembler = FrameAssembler()
    /// Bytes of DATA sent on each stream.
    private var offsets: [StreamID: UInt64] = [:]
    /// All bytes after the upgrade.
    private(set) var raw: [UInt8] = []
    /// The number of received counted frames (section 6 of the protocol page).
    private(set) var counted: UInt64 = 0
    /// The seal of all further messages; nil for a carrier that is not sealed.
    var seal: SealedMessages?
    /// Whether PINGs of the session are answered.
    var isAlive = true
    /// The number of answered PINGs.
    private(set) var pingsAnswered = 0

    init(role: WebSocketRole, socket: TCPSocket) {
        self.role = role
        self.socket = socket
        connection = Connection(role: role)
        assembler.isAdmitted = true
    }

    // MARK: Upgrades

    /// The client's upgrade request.
    static let upgradeRequest = """
        GET /tunnel HTTP/1.1\r
        Host: localhost\r
        Upgrade: websocket\r
        Connection: Upgrade\r
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r
        Sec-WebSocket-Version: 13\r
        Sec-WebSocket-Protocol: culvert-tunnel.v1\r
        \r

        """

    /// Connects and upgrades a client's end.
    static func dial(
        _ port: UInt16,
        receiveBuffer: Int32? = nil,
        timeout: Duration = .seconds(120)
    ) throws -> WirePeer {
        let socket = try TCPSocket(port: port, receiveBuffer: receiveBuffer, timeout: timeout)
        try socket.send(upgradeRequest)
        let peer = WirePeer(role: .client, socket: socket)
        let (head, rest) = try readHead(socket)
        try require(head.hasPrefix("HTTP/1.1 101 "), "the upgrade was answered with \(head)")
        peer.take(rest)
        return peer
    }

    /// Answers the upgrade of a connected client as a server.
    static func answer(_ socket: TCPSocket) throws -> WirePeer {
        let (head, _) = try readHead(socket)
        let name = "sec-websocket-key:"
        let line = head.split(separator: "\r\n").first { $0.lowercased().hasPrefix(name) }
        guard let key = line?.dropFirst(name.utf8.count).trimmingPrefix(" ") else {
            throw ScenarioFailure(description: "no Sec-WebSocket-Key in \(head)")
        }
        try socket.send(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                + "Sec-WebSocket-Accept: \(AcceptKey.accept(for: String(key)))\r\n"
                + "Sec-WebSocket-Protocol: culvert-tunnel.v1\r\n\r\n"
        )
        return WirePeer(role: .server, socket: socket)
    }

    private static func readHead(_ socket: TCPSocket) throws -> (head: String, rest: [UInt8]) {
        var bytes: [UInt8] = []
        while true {
            if let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) {
                return (String(decoding: bytes[..<end.upperBound], as: UTF8.self), Array(bytes[end.upperBound...]))
            }
            let more = try socket.receive()
            if more.isEmpty { return (String(decoding: bytes, as: UTF8.self), []) }
            bytes += more
        }
    }

    // MARK: Sending

    /// Encodes a frame in a WebSocket message.
    ///
    /// An END without a payload, and a RESET after `.max` bytes, get the number of bytes that were sent on the stream.
    func encode(_ frame: OutboundFrame) throws -> [UInt8] {
        let id = frame.header.stream
        var frame = frame
        switch frame.header.type {
        case .data:
            offsets[id, default: 0] += UInt64(frame.payload.readableBytes)
        case .end where frame.payload.readableBytes == 0:
            frame = OutboundFrame(.end, id, number: offsets[id, default: 0])
        case .reset:
            let read = try ResetCode.read(frame.payload)
            if read.offset == .max { frame = read.code.frame(id, after: offsets[id, default: 0]) }
        default:
            break
        }
        var header = ByteBuffer()
        var out = ByteBuffer()
        frame.writeHead(into: &header)
        let message = try seal?.seal(header, frame.payload)
        try connection.encodeMessage(
            .binary,
            prefix: message == nil ? header : ByteBuffer(),
            payload: message ?? frame.payload,
            into: &out
        )
        return Array(out.readableBytesView)
    }

    /// Encodes a WebSocket frame with up to 125 bytes, without any check.
    static func webSocketFrame(_ opcode: UInt8, _ payload: [UInt8], isMasked: Bool) -> [UInt8] {
        let length = UInt8(payload.count) | (isMasked ? 0x80 : 0)
        return [0x80 | opcode, length] + (isMasked ? [0, 0, 0, 0] : []) + payload
    }

    /// Encodes a WebSocket frame, masked if this end is a client.
    func webSocketFrame(_ opcode: UInt8, _ payload: [UInt8] = []) -> [UInt8] {
        Self.webSocketFrame(opcode, payload, isMasked: role == .client)
    }

    /// Sends frames in one write, each in its own message.
    func send(_ frames: OutboundFrame...) throws {
        try socket.send(frames.flatMap { try encode($0) })
    }

    // MARK: Receiving

    private func take(_ bytes: [UInt8]) {
        raw += bytes
        connection.receive(ByteBuffer(bytes: bytes))
    }

    /// Receives the next item. Throws after the socket's timeout.
    func next() throws -> Received {
        while true {
            if let event = try connection.nextEvent() {
                if let received = try translate(event) { return received }
                continue
            }
            do {
                let bytes = try socket.receive()
                if bytes.isEmpty { return .ended }
                take(bytes)
            } catch SocketError.reset {
                return .ended
            }
        }
    }

    private func translate(_ event: WebSocketEvent) throws -> Received? {
        switch event {
        case .message(_, var piece, isFirst: _, let isLast):
            if let seal { guard try seal.open(&piece, isLast: isLast) else { return nil } }
            guard let frame = try assembler.receive(piece, isLast: isLast) else { return nil }
            if frame.header.type.isCounted { counted += 1 }
            if frame.header.type == .ping, isAlive {
                pingsAnswered += 1
                try? send(OutboundFrame(.pong, .session, frame.payload))
                return nil
            }
            return .frame(frame)
        case .ping: return nil
        case .pong: return .pong
        case .close(let code, _):
            // Answers the Close, because the product waits for the answer.
            if let answer = connection.takeOutput() { try? socket.send(Array(answer.readableBytesView)) }
            return .close(code)
        }
    }

    /// Receives the next frame of one of `types`, and skips others, for at most 30 s.
    func frame(_ types: FrameType...) throws -> InboundFrame {
        let deadline = ContinuousClock.now + .seconds(30)
        while true {
            try require(.now < deadline, "no frame of \(types)")
            switch try next() {
            case .frame(let frame) where types.contains(frame.header.type): return frame
            case .frame, .pong: continue
            case let other: throw ScenarioFailure(description: "\(other) instead of \(types)")
            }
        }
    }

    /// Reads to the end of the connection.
    ///
    /// - Returns: the code of the Close, nil without one; and all frames and pongs before it.
    func readToEnd() throws -> (code: CloseCode?, frames: [InboundFrame], pongs: Int) {
        var result: (code: CloseCode?, frames: [InboundFrame], pongs: Int) = (nil, [], 0)
        while true {
            switch try next() {
            case .frame(let frame): result.frames.append(frame)
            case .pong: result.pongs += 1
            case .close(let code): result.code = code
            case .ended: return result
            }
        }
    }
}
