import ByteText
import HTTP1

/// What a proxy answered instead of a tunnel: what helps a person to see which box said no, and why. Every text in it is
/// escaped for display and cut; what we sent as credentials shows as `***` where the proxy echoed it.
public struct ProxyAnswer: Sendable, Equatable {
    /// The status code.
    public let status: Int
    /// The status line: `HTTP/1.1 403 Forbidden`.
    public let statusLine: String
    /// The names of the schemes in Proxy-Authenticate, in order, without doubles, at most eight.
    public let offeredSchemes: [String]
    /// Via: which boxes the answer came through.
    public let via: String?
    /// Server: which product answered.
    public let server: String?
    /// X-Squid-Error: squid's own name for the reason.
    public let squidError: String?
    /// Location: where a captive portal wants a browser to go. Never followed.
    public let location: String?
    /// Retry-After in seconds; nil when absent or a date, which needs a clock. Not capped.
    public let retryAfter: Int?
    /// The title of the page, or its first line with text.
    public internal(set) var page: String?

    /// The useful parts of a head.
    init(_ head: ResponseHead, hiding secrets: [String]) {
        func text(_ name: String) -> String? {
            head.fields.first(name).map { $0.hiding(secrets).escapedForDisplay() }
        }
        status = head.status
        let reason = head.reason.isEmpty ? "" : " \(head.reason)"
        statusLine = "\(head.version) \(head.status)\(reason)".hiding(secrets).escapedForDisplay()
        var schemes: [String] = []
        for challenge in Challenge.parse(head.fields.values(of: "Proxy-Authenticate")) where schemes.count < 8 {
            let name = challenge.scheme.hiding(secrets).escapedForDisplay(limit: 32)
            if !schemes.contains(name) { schemes.append(name) }
        }
        offeredSchemes = schemes
        via = text("Via")
        server = text("Server")
        squidError = text("X-Squid-Error")
        location = text("Location")
        retryAfter = head.fields.first("Retry-After").flatMap { DecimalText.value($0.utf8, through: Int.max) }
        page = nil
    }

    /// The fields that say who answered and why, for one line.
    var details: String {
        var details: [String] = []
        if !offeredSchemes.isEmpty { details.append("offers \(offeredSchemes.joined(separator: ", "))") }
        let fields = [("Via", via), ("Server", server), ("X-Squid-Error", squidError), ("Location", location)]
        for case (let name, let value?) in fields where !value.isEmpty {
            details.append("\(name): \(value)")
        }
        if let retryAfter { details.append("Retry-After: \(retryAfter)") }
        return details.joined(separator: "; ")
    }
}

extension String {
    /// This text with each secret replaced, before anything is cut off it.
    public func hiding(_ secrets: [String]) -> String {
        secrets.reduce(self) { $1.isEmpty ? $0 : $0.replacing($1, with: "***") }
    }
}
