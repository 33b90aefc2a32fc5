import NIOCore
import TestSupport
import Testing

@testable import WebSocket

/// A case of the Autobahn|Testsuite as a table row: the fuzzer's input and the echo's required answer.
///
/// The rows have the suite's numbers and hold for both roles. Each arrives whole, byte by byte and at every split. That
/// covers the suite's cases that differ only in how the bytes are split.
struct ConformanceCase: CustomTestStringConvertible, Sendable {
    /// The peer's frames: FIN, reserved bits and opcode, and the payload.
    struct Frame: Sendable {
        var first: UInt8
        var payload: [UInt8]
    }

    /// How the connection ends.
    enum Ending: Sendable, Equatable {
        /// Both ends have sent Close, the echo with this code.
        case clean(UInt16?)
        /// The peer's frames break a rule; the echo's Close has this code.
        case failed(UInt16)
    }

    var number: String
    var frames: [Frame]
    /// The echoes and answers before the end, in order: opcode and payload.
    var answers: [Frame]
    var ending: Ending

    var testDescription: String { number }

    /// Creates a case. A Close with 1000 follows the frames, unless they contain a Close or break a rule.
    init(
        _ number: String,
        _ frames: [Frame],
        answers: [Frame] = [],
        _ ending: Ending = .clean(1000)
    ) {
        self.number = number
        self.frames = frames
        self.answers = answers
        self.ending = ending
        if case .clean = ending, !frames.contains(where: { $0.first == 0x88 }) {
            self.frames.append(Frame(first: 0x88, payload: [0x03, 0xE8]))
        }
    }

    /// A case whose message is echoed unchanged.
    static func echoed(_ number: String, _ first: UInt8, _ payload: [UInt8]) -> ConformanceCase {
        ConformanceCase(
            number,
            [Frame(first: first, payload: payload)],
            answers: [Frame(first: first, payload: payload)]
        )
    }

    /// The bytes on the wire, as an end of this role receives them.
    func bytes(to role: WebSocketRole) -> [UInt8] {
        frames.flatMap { Self.encode($0, masked: role == .server) }
    }

    static func encode(_ frame: Frame, masked isMasked: Bool) -> [UInt8] {
        let maskedFrame = masked(frame.first, frame.payload)
        guard !isMasked else { return maskedFrame }
        let header = frame.payload.count < 126 ? 2 : frame.payload.count < 65_536 ? 4 : 10
        return [maskedFrame[0], maskedFrame[1] & 0x7F] + maskedFrame[2..<header] + frame.payload
    }

    /// The frames that an end of this role must send.
    func expected(from role: WebSocketRole) -> [UInt8] {
        var all = answers
        switch ending {
        case .clean(let code), .failed(let code as UInt16?):
            let payload = code.map { [UInt8(truncatingIfNeeded: $0 >> 8), UInt8(truncatingIfNeeded: $0)] } ?? []
            all.append(Frame(first: 0x88, payload: payload))
        }
        return all.flatMap { Self.encode($0, masked: role == .client) }
    }

    /// Runs the case in both roles, at every split, or in chunks of the given sizes if it is long.
    func check(chops: [Int] = []) {
        for role in [WebSocketRole.client, .server] {
            let (bytes, expected) = (bytes(to: role), expected(from: role))
            let isClean = if case .clean = ending { true } else { false }
            func run(_ chunks: [[UInt8]], _ how: String) {
                let echo = Echo.run(chunks, role)
                #expect(echo.sent == expected, "\(number) as \(role), \(how)")
                #expect(echo.isClean == isClean, "\(number) as \(role), \(how)")
            }
            if chops.isEmpty {
                everySplit(of: bytes, run)
            } else {
                for size in chops + [bytes.count] { run(chop(bytes, size), "in chunks of \(size)") }
            }
        }
    }
}

/// Splits bytes into chunks of `size`.
func chop(_ bytes: [UInt8], _ size: Int) -> [[UInt8]] {
    stride(from: 0, to: bytes.count, by: size).map { Array(bytes[$0..<min($0 + size, bytes.count)]) }
}

/// The behaviour of `websocket-echo` without a socket: it returns every message in one frame.
struct Echo {
    var sent: [UInt8] = []
    var isClean = false

    static func run(_ chunks: [[UInt8]], _ role: WebSocketRole, deflate: DeflateAgreement? = nil) -> Echo {
        var echo = Echo()
        var connection = Connection(
            role: role,
            limits: .unlimited,
            masks: MaskSource(generator: FixedGenerator()),
            deflate: deflate
        )
        var message = ByteBuffer()
        for chunk in chunks {
            connection.receive(buffer(chunk))
            do {
                while let event = try connection.nextEvent() {
                    if let control = connection.takeOutput() { echo.sent += control.readableBytesView }
                    guard case .message(let kind, let bytes, let isFirst, let isLast) = event else { continue }
                    if isFirst { message.clear() }
                    message.writeImmutableBuffer(bytes)
                    guard isLast else { continue }
                    var out = ByteBuffer()
                    try connection.encodeMessage(kind, payload: message, into: &out)
                    echo.sent += out.readableBytesView
                }
            } catch {
                // The output contains the Close for this error.
            }
            if let control = connection.takeOutput() { echo.sent += control.readableBytesView }
        }
        echo.isClean = connection.inputClosed()
        return echo
    }
}
