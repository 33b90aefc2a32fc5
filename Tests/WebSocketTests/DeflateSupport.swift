import NIOCore
import TestSupport
import Testing

@testable import WebSocket

/// An agreement with the same parameters for both ends.
func agreement(
    noContextTakeover: Bool = false,
    bits: Int = 15,
    minimumBytes: Int = 0
) -> DeflateAgreement {
    var options = DeflateOptions()
    options.minimumBytes = minimumBytes
    return DeflateAgreement(
        serverNoContextTakeover: noContextTakeover,
        clientNoContextTakeover: noContextTakeover,
        serverMaxWindowBits: bits,
        clientMaxWindowBits: bits,
        options: options
    )
}

/// zlib's state could not be created.
struct NoMemory: Error {}

/// Returns the value, which must exist. `#require` does not accept values that cannot be copied.
func unwrap<Value: ~Copyable>(_ value: consuming Value?) throws -> Value {
    guard let value else { throw NoMemory() }
    return value
}

/// Compresses one message, as the first of a connection.
func deflated(_ bytes: [UInt8], bits: Int = 15) throws -> [UInt8] {
    var deflater = try unwrap(Deflater.make(windowBits: bits, noContextTakeover: true, options: DeflateOptions()))
    var out = ByteBuffer()
    guard deflater.compress(ByteBuffer(), buffer(bytes), into: &out) else { throw NoMemory() }
    return Array(out.readableBytesView)
}

/// A frame as an end of this role receives it.
func frame(_ first: UInt8, _ payload: [UInt8], to role: WebSocketRole) -> [UInt8] {
    ConformanceCase.encode(.init(first: first, payload: payload), masked: role == .server)
}

/// Returns the events of the bytes, and checks that they do not depend on how the bytes are split. Long input is split
/// into a few sizes only.
func sameOutcome(
    _ bytes: [UInt8],
    _ role: WebSocketRole,
    limits: WebSocketLimits = .default,
    deflate: DeflateAgreement?,
    acceptsText: Bool = true
) -> Outcome {
    func outcome(_ chunks: [[UInt8]], _ drainsEach: Bool) -> Outcome {
        feed(chunks, role, limits: limits, acceptsText: acceptsText, deflate: deflate, drainsEach: drainsEach)
    }
    let whole = outcome([bytes], true)
    func compare(_ chunks: [[UInt8]], _ how: String) {
        for drainsEach in [true, false] {
            #expect(outcome(chunks, drainsEach) == whole, "\(how) as \(role)")
        }
    }
    if bytes.count <= 200 {
        everySplit(of: bytes, compare)
    } else {
        for size in [1, 7, 512, 4_099, 65_536] { compare(chop(bytes, size), "in chunks of \(size)") }
    }
    return whole
}

/// The payload of all messages, complete or not.
func received(_ outcome: Outcome) -> [UInt8] {
    outcome.events.flatMap { event in
        guard case .message(_, let bytes, _, _) = event else { return [UInt8]() }
        return Array(bytes.readableBytesView)
    }
}
