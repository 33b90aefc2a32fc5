import ByteText
import HTTP1

/// The parts of a proxy's answer that show which box refused, and why. All texts are escaped for display and truncated.
/// Sent credentials that the proxy echoed appear as `***`.
public struct ProxyAnswer: Sendable, Equatable {
    /// The status code.
    public let status: Int
    /// The status line, such as `HTTP/1.1 403 Forbidden`.
    public let statusLine: String
    /// The distinct scheme names in Proxy-Authenticate, in order, at most eight.
    public let offeredSchemes: [String]
    /// Via: the boxes that the answer passed.
    public let via: String?
    /// Server: the product that answered.
    public let server: String?
    /// X-Squid-Error: squid's name for the reason.
    public let squidError: String?
    /// Location: the page to which a captive portal redirects a browser. Never followed.
    public let location: String?
    /// Retry-After in seconds, without an upper limit; nil if absent or a date, which would need a clock.
    public let retryAfter: Int?
    /// The title of the page, or its first line with text.
    public internal(set) var page: String?

    /// Extracts the useful parts of a head.
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

    /// The fields that show who answered and why, for one line.
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
    /// Returns this text with each secret replaced by `***`. Apply it before truncation.
    public func hiding(_ secrets: [String]) -> String {
        secrets.reduce(self) { $1.isEmpty ? $0 : $0.replacing($1, with: "***") }
    }
}
