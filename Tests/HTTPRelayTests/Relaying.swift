import HTTP1
import HTTPRelay
import NIOCore
import Testing

/// What becomes of a visitor's bytes: the requests that the service gets, and the status of the refusal behind them.
struct Relayed: Equatable, Sendable, CustomStringConvertible {
    /// The bytes for the service, with each body in one chunk at most.
    var requests: [[UInt8]] = []
    var refusal: Int?
    /// Whether the last request is not complete.
    var isOpen = false

    var description: String {
        requests.map { String(decoding: $0, as: UTF8.self) }.joined(separator: "\n---\n")
            + (refusal.map { "\n=== \($0)" } ?? "") + (isOpen ? "\n=== open" : "")
    }
}

let visitor = RequestOrigin(address: "192.0.2.1", isSecure: false)

/// Reads a connection's bytes, and relays each request as a server does.
func relay(
    _ chunks: [[UInt8]],
    rules: RelayRules = RelayRules(),
    from origin: RequestOrigin = visitor,
    limits: HeadLimits = .request
) -> Relayed {
    var (reader, buffer, result) = (RequestReader(limits: limits), ByteBuffer(), Relayed())
    var (current, content) = (RelayedRequest?.none, ByteBuffer())
    func finish(_ trailers: HeaderFields?) throws(HTTP1Error) {
        guard let request = current else { return }
        var wire = ByteBuffer()
        try request.head.serialize(into: &wire)
        let writer = BodyWriter(request.framing)
        if content.readableBytes > 0 { writer.write(content) { wire.writeImmutableBuffer($0) } }
        if let trailers { writer.end(trailers: request.trailers(trailers)) { wire.writeImmutableBuffer($0) } }
        result.requests.append(Array(buffer: wire))
        (current, content) = (nil, ByteBuffer())
    }
    do {
        for chunk in chunks {
            buffer.writeBytes(chunk)
            while let event = try reader.next(from: &buffer) {
                switch event {
                case .head(let head, let framing):
                    let destination = try RelayedRequest.destination(of: head)
                    current = try RelayedRequest(head, framing, to: destination, from: origin, rules: rules)
                case .content(var bytes): content.writeBuffer(&bytes)
                case .end(let trailers):
                    let isSwitching = current?.upgrade != nil
                    try finish(trailers)
                    // What follows belongs to the other protocol.
                    if isSwitching { return result }
                }
            }
        }
        if current != nil {
            result.isOpen = true
            try finish(nil)
        }
    } catch let error as HTTP1Error {
        // How much of a refused body the service has got depends on the segments.
        content = ByteBuffer()
        result.isOpen = current != nil
        try? finish(nil)
        result.refusal = error.status
    } catch let refusal as RelayedRequest.Refusal {
        result.refusal = refusal.status
    } catch {
        Issue.record("\(error)")
    }
    return result
}

/// The request that the service gets for a visitor at 192.0.2.1, which has asked for `host`.
///
/// - Parameters:
///   - fields: the visitor's fields that are passed on.
///   - framing: the field of the body's end.
///   - tail: the fields behind those of the origin.
func got(
    _ line: String,
    _ fields: [String] = [],
    framing: String? = nil,
    tail: [String] = [],
    body: String = "",
    host: String = "a.example"
) -> [UInt8] {
    let node = host.contains(":") ? "\"\(host)\"" : host
    let origin = [
        "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: http", "X-Forwarded-Host: \(host)",
        "Forwarded: for=192.0.2.1;host=\(node);proto=http",
    ]
    let lines = ["\(line) HTTP/1.1", "Host: \(host)"] + fields + (framing.map { [$0] } ?? []) + origin + tail
    return Array((lines.joined(separator: "\r\n") + "\r\n\r\n" + body).utf8)
}

/// A head with `Host: a.example` and more lines.
func head(_ line: String, _ lines: String...) -> String {
    (["\(line) HTTP/1.1", "Host: a.example"] + lines).joined(separator: "\r\n") + "\r\n\r\n"
}

func fields(_ pairs: [(String, String)]) throws -> HeaderFields { try HeaderFields(pairs) }
