import HTTP1
import NIOCore
import TunnelCore

/// An answer of the admin server, before serialization.
package struct AdminResponse: Sendable, Hashable {
    package enum Status: Int, Sendable {
        case ok = 200
        case badRequest = 400
        case forbidden = 403
        case notFound = 404
        case methodNotAllowed = 405
        case timeout = 408
        case uriTooLong = 414
        case misdirected = 421
        case headTooLarge = 431
        case serverError = 500
        case badGateway = 502
        case unavailable = 503
        case versionNotSupported = 505
    }

    package let status: Status
    package let contentType: String
    package let body: [UInt8]
    /// The allowed methods, if the request has another one.
    package var allow: String?
    /// Further fields by name.
    package var fields: [String: String] = [:]

    package init(_ status: Status, contentType: String, body: [UInt8]) {
        self.status = status
        self.contentType = contentType
        self.body = body
    }

    /// The answer to a malformed request.
    package init(_ error: HTTP1Error) {
        self = .text(Status(rawValue: error.status) ?? .badRequest, error.description)
    }

    /// An answer of one line of text.
    package static func text(_ status: Status, _ line: String) -> AdminResponse {
        AdminResponse(status, contentType: "text/plain; charset=utf-8", body: Array((line + "\n").utf8))
    }

    /// An answer with metrics in Prometheus' text format.
    package static func exposition(_ text: String) -> AdminResponse {
        AdminResponse(.ok, contentType: "text/plain; version=0.0.4; charset=utf-8", body: Array(text.utf8))
    }

    package static func json(_ bytes: some Sequence<UInt8>) -> AdminResponse {
        AdminResponse(.ok, contentType: "application/json", body: Array(bytes) + [UInt8(ascii: "\n")])
    }

    package static func notAllowed(_ methods: String) -> AdminResponse {
        var response = text(.methodNotAllowed, "expected \(methods)")
        response.allow = methods
        return response
    }

    /// The bytes of the answer, which is the only one on its connection.
    ///
    /// - Parameter isHead: whether the request is HEAD, whose answer has the body's length without the body.
    package func serialized(isHead: Bool) throws(HTTP1Error) -> ByteBuffer {
        var fields = try HeaderFields([
            ("Connection", "close"), ("Content-Type", contentType), ("Content-Length", "\(body.count)"),
            ("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"),
        ])
        if let allow { try fields.append("Allow", allow) }
        for (name, value) in self.fields.sorted(by: { $0.key < $1.key }) { try fields.append(name, value) }
        var bytes = ByteBuffer()
        try ResponseHead(status: status.rawValue, reason: ReasonPhrase.text(for: status.rawValue), fields: fields)
            .serialize(into: &bytes)
        if !isHead { bytes.writeBytes(body) }
        return bytes
    }
}
