import HTTP1
import NIOCore
import TestSupport
import Testing

/// The result of a parser: the head, if any, and the bytes left after it, or the error.
struct Parsed<Head: Equatable & Sendable>: Equatable, Sendable {
    var head: Head?
    var leftover: [UInt8] = []
    var error: HTTP1Error.Kind?
}

/// Passes the chunks one by one, each in its own buffer, and collects the bytes after the first head.
func feed<Head>(
    _ chunks: [[UInt8]],
    _ receive: (inout ByteBuffer) throws(HTTP1Error) -> Head?
) -> Parsed<Head> {
    var result = Parsed<Head>()
    for chunk in chunks {
        guard result.head == nil else {
            result.leftover += chunk
            continue
        }
        var buffer = ByteBuffer(bytes: chunk)
        do throws(HTTP1Error) {
            result.head = try receive(&buffer)
            result.leftover += Array(buffer.readableBytesView)
        } catch {
            result.error = error.kind
            return result
        }
    }
    return result
}

func parseRequest(_ chunks: [[UInt8]], limits: HeadLimits = .request) -> Parsed<RequestHead> {
    var parser = RequestHeadParser(limits: limits)
    return feed(chunks) { buffer throws(HTTP1Error) in try parser.receive(&buffer) }
}

func parseResponse(_ chunks: [[UInt8]], limits: HeadLimits = .response) -> Parsed<ResponseHead> {
    var parser = ResponseHeadParser(limits: limits)
    return feed(chunks) { buffer throws(HTTP1Error) in try parser.receive(&buffer) }
}

/// A request head with a request line and field lines, as bytes.
func request(line: String = "GET / HTTP/1.1", _ fields: String = "Host: a\r\n") -> [UInt8] {
    Array("\(line)\r\n\(fields)\r\n".utf8)
}

func fields(_ pairs: (String, String)...) -> HeaderFields {
    var fields = HeaderFields()
    for (name, value) in pairs {
        do throws(HTTP1Error) {
            try fields.append(name, value)
        } catch {
            Issue.record("not a field: \(name): \(value)")
        }
    }
    return fields
}
