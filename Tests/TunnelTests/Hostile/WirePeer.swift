import NIOCore
import TestSupport
import WebSocket

@testable import Mux

/// The other end of a carrier, spoken by hand over a blocking socket, so that a test can speak it wrongly. For one
/// thread.
///
/// It answers the session's PINGs, unless told otherwise, and nothing else by itself.
final class WirePeer {
    /// What the product sends.
    enum Received {
        case frame(InboundFrame)
        case pong
        case close(CloseCode?)
        /// TCP has ended, with FIN or RST.
        case ended
    }

    let socket: TCPSocket
    private let role: WebSocketRole
    private var connection: WebSocket.Connection
    private var assembler = FrameAssembler()
    /// Everything that came behind the upgrade, as it came.
    private(set) var raw: [UInt8] = []
    /// Counted frames that have come (protocol page, section 6).
    private(set) var counted: UInt64 = 0
    /// Whether the session's PINGs are answered.
    var isAlive = true
    /// How many were.
    private(set) var pingsAnswered = 0

    init(role: WebSocketRole, socket: TCPSocket) {
        self.role = role
        self.socket = socket
        connection = Connection(role: role)
        assembler.isAdmitted = true
    }

    // MARK: Upgrades

    /// The client's request for a session's carrier.
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

    /// A client's end, upgraded and with nothing said.
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

    /// A server's end: answers the upgrade of a client that has connected.
    static func answer(_ socket: TCPSocket) throws -> WirePeer {
        let (head, _) = try readHead(socket)
        let name = "sec-websocket-key:"
        let line = head.split(separator: "\r\n").first { $0.lowercased().hasPrefix(name) }
        guard let key = line?.dropFirst(name.utf8.count).trimmingPrefix(" ") else {
            throw ScenarioFailure(description: "no key in \(head)")
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

    /// A frame in its WebSocket message, as this end sends it.
    func encode(_ frame: OutboundFrame) throws -> [UInt8] {
        var header = ByteBuffer()
        var out = ByteBuffer()
        frame.header.write(into: &header)
        try connection.encodeMessage(.binary, prefix: header, payload: frame.payload, into: &out)
        return Array(out.readableBytesView)
    }

    /// A WebSocket frame of up to 125 bytes of payload, made without any care.
    static func webSocketFrame(_ opcode: UInt8, _ payload: [UInt8], isMasked: Bool) -> [UInt8] {
        let length = UInt8(payload.count) | (isMasked ? 0x80 : 0)
        return [0x80 | opcode, length] + (isMasked ? [0, 0, 0, 0] : []) + payload
    }

    /// The same, masked as this end has to.
    func webSocketFrame(_ opcode: UInt8, _ payload: [UInt8] = []) -> [UInt8] {
        Self.webSocketFrame(opcode, payload, isMasked: role == .client)
    }

    /// Sends frames, each in its message, all in one segment where they fit.
    func send(_ frames: OutboundFrame...) throws {
        try socket.send(frames.flatMap { try encode($0) })
    }

    // MARK: Receiving

    private func take(_ bytes: [UInt8]) {
        raw += bytes
        connection.receive(ByteBuffer(bytes: bytes))
    }

    /// What comes next; throws when nothing does for as long as the socket waits.
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
        case .message(_, let piece, isFirst: _, let isLast):
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
            // The answer, without which the product would wait for it.
            if let answer = connection.takeOutput() { try? socket.send(Array(answer.readableBytesView)) }
            return .close(code)
        }
    }

    /// The next frame of one of `types`; others before it are passed over, for half a minute.
    func frame(_ types: FrameType...) throws -> InboundFrame {
        let deadline = ContinuousClock.now + .seconds(30)
        while true {
            try require(.now < deadline, "none of \(types) has come")
            switch try next() {
            case .frame(let frame) where types.contains(frame.header.type): return frame
            case .frame, .pong: continue
            case let other: throw ScenarioFailure(description: "\(other) where \(types) should have come")
            }
        }
    }

    /// Reads to the end, whichever way it comes.
    ///
    /// - Returns: the code of the Close, nil where there was none; and all frames and pongs before.
    func toTheEnd() throws -> (code: CloseCode?, frames: [InboundFrame], pongs: Int) {
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
