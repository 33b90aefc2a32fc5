import NIOCore
import WebSocket

/// The entry point for libFuzzer. The first byte selects the role and the extension. The second byte selects the size
/// of the parts into which the rest is split. The result must be events or a typed error, not a trap. Split bytes must
/// have the same result as whole ones.
///
/// Built only with `CULVERT_FUZZ=1`; CONTRIBUTING.md says how.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzWebSocket(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    guard let start, count > 2 else { return 0 }
    let bytes = Array(UnsafeBufferPointer(start: start, count: count))
    let role: WebSocketRole = bytes[0] & 1 == 0 ? .server : .client
    let isDeflating = bytes[0] & 2 != 0
    let step = Int(bytes[1] % 31) + 1
    let traffic = Array(bytes.dropFirst(2))
    let whole = outcome(of: [traffic], role, isDeflating)
    let pieces = stride(from: 0, to: traffic.count, by: step).map { Array(traffic[$0..<min($0 + step, traffic.count)]) }
    precondition(whole == outcome(of: pieces, role, isDeflating), "the split changes the result")
    return 0
}

/// The result of an input. The fragments of a message are joined.
private struct Outcome: Equatable {
    var payload: [UInt8] = []
    var marks: [String] = []
    var error: WebSocketError?
}

private func outcome(of pieces: [[UInt8]], _ role: WebSocketRole, _ isDeflating: Bool) -> Outcome {
    let limits = WebSocketLimits(
        maximumFrameBytes: 4_096,
        maximumMessageBytes: 16_384,
        maximumFragments: 16,
        maximumQueuedControlBytes: 512
    )
    let agreement = isDeflating ? deflateAgreement : nil
    var connection = Connection(role: role, limits: limits, deflate: agreement)
    var outcome = Outcome()
    for piece in pieces {
        connection.receive(ByteBuffer(bytes: piece))
        do throws(WebSocketError) {
            while let event = try connection.nextEvent() { outcome.append(event) }
        } catch {
            outcome.error = error
            return outcome
        }
    }
    return outcome
}

extension Outcome {
    fileprivate mutating func append(_ event: WebSocketEvent) {
        switch event {
        case .message(let kind, let bytes, isFirst: let isFirst, isLast: let isLast):
            if isFirst { marks.append("\(kind) from \(payload.count)") }
            payload += bytes.readableBytesView
            precondition(payload.count < 1 << 24, "the output is longer than any limit")
            if isLast { marks.append("to \(payload.count)") }
        case .ping(let bytes): marks.append("ping \(bytes.readableBytes)")
        case .pong(let bytes): marks.append("pong \(bytes.readableBytes)")
        case .close(let code, let reason): marks.append("close \(code?.description ?? "") \(reason)")
        }
    }
}

/// permessage-deflate with default parameters.
private let deflateAgreement: DeflateAgreement? = {
    let server = ServerUpgrade(path: "/", deflate: DeflateOptions())
    guard let client = try? ClientUpgrade(authority: "localhost", path: "/", deflate: DeflateOptions()),
        let head = try? client.request(), case .accept(_, let agreement) = server.answer(head, hasLeftovers: false)
    else { return nil }
    return agreement.deflate
}()

/// The driver of libFuzzer for programs with a main function.
@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
    _ argumentCount: UnsafeMutablePointer<Int32>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>,
    _ test: @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32
) -> Int32

/// The name that the package manager gives an executable's main function.
@_cdecl("websocket_fuzz_main")
public func fuzzMain(_ count: Int32, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?) -> Int32 {
    var count = count
    var arguments = arguments
    return runDriver(&count, &arguments, fuzzWebSocket)
}
