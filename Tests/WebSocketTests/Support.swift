import NIOCore
import TestSupport
import Testing

@testable import WebSocket

/// Bytes from hexadecimal digits; white space is ignored.
func hex(_ text: String) -> [UInt8] {
    let digits = text.filter { !$0.isWhitespace }.compactMap(\.hexDigitValue)
    return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

func buffer(_ bytes: some Sequence<UInt8>) -> ByteBuffer { ByteBuffer(bytes: bytes) }

func buffer(_ text: String) -> ByteBuffer { ByteBuffer(string: text) }

/// Masks byte by byte, as a model for the word-wise masking.
func naiveMask(_ bytes: [UInt8], _ key: [UInt8], phase: Int = 0) -> [UInt8] {
    bytes.enumerated().map { $1 ^ key[($0 + phase) % 4] }
}

/// A frame with the mask 37 fa 21 3d of RFC 6455 section 5.7; `first` is FIN, reserved bits and opcode.
func masked(_ first: UInt8, _ payload: some Sequence<UInt8>) -> [UInt8] {
    let payload = Array(payload)
    let key = hex("37fa213d")
    var length: [UInt8]
    switch payload.count {
    case 0...125: length = [0x80 | UInt8(payload.count)]
    case 126...0xFFFF: length = [0xFE] + (0..<2).reversed().map { UInt8(truncatingIfNeeded: payload.count >> ($0 * 8)) }
    default: length = [0xFF] + (0..<8).reversed().map { UInt8(truncatingIfNeeded: payload.count >> ($0 * 8)) }
    }
    length.insert(first, at: 0)
    return length + key + naiveMask(payload, key)
}

func masked(_ first: UInt8, _ payload: String) -> [UInt8] { masked(first, payload.utf8) }

/// A whole text message.
func text(_ payload: String) -> WebSocketEvent { .message(.text, buffer(payload), isFirst: true, isLast: true) }

/// A whole binary message.
func binary(_ payload: [UInt8]) -> WebSocketEvent { .message(.binary, buffer(payload), isFirst: true, isLast: true) }

/// The result of an input.
struct Outcome: Equatable {
    var events: [WebSocketEvent] = []
    var error: WebSocketError?
    var output: [UInt8] = []

    /// Adds an event, and joins it to the chunk before if both belong to one message.
    mutating func append(_ event: WebSocketEvent) {
        if case .message(let kind, let bytes, isFirst: false, let isLast) = event,
            case .message(kind, var begun, let isFirst, isLast: false) = events.last
        {
            begun.writeImmutableBuffer(bytes)
            events[events.count - 1] = .message(kind, begun, isFirst: isFirst, isLast: isLast)
        } else {
            events.append(event)
        }
    }
}

/// A generator that always gives the mask 37 fa 21 3d.
struct FixedGenerator: RandomNumberGenerator, Sendable {
    mutating func next() -> UInt64 { 0x3d21_fa37_3d21_fa37 }
}

extension Connection {
    /// Takes all events, until nil or an error.
    mutating func drain(into outcome: inout Outcome) {
        do {
            while let event = try nextEvent() {
                outcome.append(event)
            }
        } catch {
            outcome.error = error
        }
    }
}

/// Feeds a connection chunk by chunk, and takes the events after each chunk, or after all of them.
func feed(
    _ chunks: [[UInt8]],
    _ role: WebSocketRole,
    limits: WebSocketLimits = .default,
    acceptsText: Bool = true,
    deflate: DeflateAgreement? = nil,
    drainsEach: Bool = true
) -> Outcome {
    var connection = Connection(
        role: role,
        limits: limits,
        masks: MaskSource(generator: FixedGenerator()),
        acceptsText: acceptsText,
        deflate: deflate
    )
    var outcome = Outcome()
    for chunk in chunks {
        connection.receive(buffer(chunk))
        if drainsEach && outcome.error == nil { connection.drain(into: &outcome) }
    }
    if outcome.error == nil { connection.drain(into: &outcome) }
    if let output = connection.takeOutput() { outcome.output = Array(output.readableBytesView) }
    return outcome
}

/// A table row: bytes, the role that receives them, and the expected result.
struct Row: CustomTestStringConvertible, Sendable {
    var name: String
    var role: WebSocketRole
    var bytes: [UInt8]
    var events: [WebSocketEvent] = []
    var error: WebSocketError?
    /// The expected output; nil if the row does not check it.
    var output: [UInt8]?
    var limits = WebSocketLimits.default
    var acceptsText = true
    var deflate: DeflateAgreement?

    var testDescription: String { name }

    func check() {
        everySplit(of: bytes) { chunks, how in
            for drainsEach in [true, false] {
                let outcome = feed(
                    chunks,
                    role,
                    limits: limits,
                    acceptsText: acceptsText,
                    deflate: deflate,
                    drainsEach: drainsEach
                )
                #expect(outcome.events == events, "\(name), \(how)")
                #expect(outcome.error == error, "\(name), \(how)")
                if let output { #expect(outcome.output == output, "\(name), \(how)") }
                if let error {
                    #expect(outcome.output.suffix(2) == close(error.closeCode).suffix(2), "\(name), \(how)")
                }
            }
        }
    }

    /// The Close frame that the role sends for a code, with the fixed mask.
    func close(_ code: CloseCode) -> [UInt8] {
        let payload = withUnsafeBytes(of: code.rawValue.bigEndian) { Array($0) }
        return role == .client ? masked(0x88, payload) : [0x88, 2] + payload
    }
}
