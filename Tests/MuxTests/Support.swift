import Crypto
import NIOCore
import Testing

@testable import Mux

/// Bytes from hexadecimal digits; white space is ignored.
func hex(_ text: String) -> [UInt8] {
    let digits = text.filter { !$0.isWhitespace }.compactMap(\.hexDigitValue)
    return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

func buffer(_ bytes: some Sequence<UInt8>) -> ByteBuffer { ByteBuffer(bytes: bytes) }

func buffer(_ text: String) -> ByteBuffer { ByteBuffer(string: text) }

/// A buffer of `count` bytes with arbitrary contents.
func bytes(_ count: Int) -> ByteBuffer { ByteBuffer(repeating: 0x61, count: count) }

/// The kind of the error that `body` throws; nil if it throws none.
func kind(_ body: () throws(MuxError) -> Void) -> MuxError.Kind? {
    do throws(MuxError) {
        try body()
        return nil
    } catch {
        return error.kind
    }
}

extension Instant {
    /// An instant after the start of a test. The start is not the clock's zero, so that earlier instants exist.
    static func at(_ span: Duration) -> Instant { Instant(nanoseconds: 5_000_000_000_000) + span }

    static let start = Instant.at(.zero)
}

extension OutboundFrame {
    /// The bytes of the binary message.
    var wire: [UInt8] {
        var out = ByteBuffer()
        writeHead(into: &out)
        return Array(out.readableBytesView) + Array(payload.readableBytesView)
    }

    /// The frame as the other end receives it.
    var arrived: InboundFrame {
        InboundFrame(
            header: header,
            pieces: payload.readableBytes > 0 ? [payload] : [],
            payloadLength: payload.readableBytes,
            offset: header.hasOffset ? offset : nil
        )
    }

    /// Type and stream, for lists of sent frames.
    var short: String { header.type.isOfStream ? "\(header.type) \(header.stream)" : "\(header.type)" }

    var number: UInt64 { arrived.number }
}

/// A frame from the peer.
func frame(_ type: FrameType, _ stream: UInt32 = 0, _ payload: ByteBuffer = ByteBuffer()) -> InboundFrame {
    OutboundFrame(type, StreamID(stream), payload).arrived
}

func frame(_ type: FrameType, _ stream: UInt32 = 0, number: UInt64) -> InboundFrame {
    OutboundFrame(type, StreamID(stream), number: number).arrived
}

func openFrame(_ stream: UInt32) -> InboundFrame { visit.frame(StreamID(stream)).arrived }

func resetFrame(_ stream: UInt32, _ code: ResetCode = .connectionReset) -> InboundFrame {
    code.frame(StreamID(stream), after: .max).arrived
}

/// The END or RESET with the offset that the session expects, if the frame leaves it open: an END without a payload, or a
/// RESET after `.max` bytes.
func offsetFilled(_ frame: InboundFrame, for session: Session) -> InboundFrame {
    let id = frame.header.stream
    let received = session.streams[id]?.receiving.received ?? 0
    switch frame.header.type {
    case .end where frame.payloadLength == 0:
        return OutboundFrame(.end, id, number: received).arrived
    case .reset:
        guard let read = try? ResetCode.read(frame.payload), read.offset == .max else { return frame }
        return read.code.frame(id, after: received).arrived
    default:
        return frame
    }
}

func bindFrame(_ tunnel: UInt16) -> InboundFrame {
    BindRequest(tunnel: tunnel, address: "", port: 0).frame.arrived
}

let visit = OpenRequest(tunnel: 0, visitor: "203.0.113.9:40001")
let two = StreamID(2)

/// A session at the start, with its first PING due.
func session(_ role: Role, _ limits: MuxLimits = MuxLimits(), window: UInt32 = 262_144) -> Session {
    Session(role: role, limits: limits, peerWindow: window, seed: 7, now: .start)
}

/// The default limits after `change`.
func limits(_ change: (inout MuxLimits) -> Void) -> MuxLimits {
    var limits = MuxLimits()
    change(&limits)
    return limits
}

extension Session {
    /// Whether a visitor of tunnel 0 may have a stream.
    var hasRoom: Bool { room(at: visit.tunnel) == .free }

    /// The window of the first lane.
    var congestion: CongestionWindow {
        get { lanes[0].congestion }
        set { lanes[0].congestion = newValue }
    }

    /// Reports a reset of the stream's socket, at the start of the test.
    mutating func reset(_ id: StreamID, _ code: ResetCode) { reset(id, code, now: .start) }

    /// Whether a tick reports that the carrier of the first lane is dead.
    mutating func silence(_ now: Instant) -> Bool {
        guard (try? tick(now: now)) != nil else { return false }
        return actions().contains { action in
            if case .silent(.first, let error) = action { error.kind == .silence } else { false }
        }
    }

    /// Takes the actions that are due, except `.blocked` and `.roomChanged`, which have tests of their own.
    mutating func actions() -> [SessionAction] {
        allActions().filter { action in
            switch action {
            case .blocked, .roomChanged: false
            default: true
            }
        }
    }

    mutating func allActions() -> [SessionAction] {
        var all: [SessionAction] = []
        while let action = nextAction() { all.append(action) }
        return all
    }

    /// Writes bytes and returns whether the stream accepts more.
    mutating func accepts(_ id: StreamID, _ bytes: ByteBuffer) -> Bool {
        write(id, bytes)
        guard let stream = streams[id], stream.isOpen else { return false }
        return !stream.isBlocked
    }

    mutating func frames(_ now: Instant = .start) -> [OutboundFrame] {
        var all: [OutboundFrame] = []
        while let frame = nextFrame(now: now) { all.append(frame) }
        return all
    }

    /// Takes the frames to send, in short form.
    mutating func sent(_ now: Instant = .start) -> [String] { frames(now).map(\.short) }

    /// The kind of the error that frames from the peer cause; nil if they cause none.
    mutating func kind(of frames: InboundFrame..., now: Instant = .start) -> MuxError.Kind? {
        do throws(MuxError) {
            for frame in frames { try receive(offsetFilled(frame, for: self), now: now) }
            return nil
        } catch {
            return error.kind
        }
    }
}

extension Session {
    /// Answers this end's PING, so that a round trip is measured.
    mutating func answerPing(after span: Duration) throws {
        try tick(now: .start)
        let sent = frames()
        let ping = try #require(sent.first { $0.header.type == .ping })
        try receive(frame(.pong, number: ping.number), now: .at(span))
        _ = actions()
    }
}

/// A server's session with stream 2 open and accepted, and no frame or action pending.
func serverWithStream(_ limits: MuxLimits = MuxLimits(), window: UInt32 = 262_144) throws -> Session {
    var server = session(.server, limits, window: window)
    #expect(server.open(visit, now: .start) == two)
    try server.receive(frame(.accept, 2), now: .start)
    _ = server.frames()
    _ = server.actions()
    return server
}

/// A client's session with stream 2 open and accepted, and no frame or action pending.
func clientWithStream(_ limits: MuxLimits = MuxLimits(), window: UInt32 = 262_144) throws -> Session {
    var client = session(.client, limits, window: window)
    try client.receive(openFrame(2), now: .start)
    client.accept(two, now: .start)
    _ = client.frames()
    _ = client.actions()
    return client
}
