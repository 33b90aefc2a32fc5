import HTTP1
import NIOCore

/// The relay's own answers: a small page without a product's name, or plain text if the visitor accepts no HTML.
public struct StatusPage: Sendable, Hashable {
    /// The status code.
    public let status: Int
    /// One sentence for the visitor.
    public let sentence: String
    /// Fields of the answer, besides those of the page itself.
    public var fields: [Field] = []

    /// A field of the answer.
    public struct Field: Sendable, Hashable {
        let name: String
        let value: String
    }

    /// Whether the sentence is the whole body.
    private var isPlain = false

    /// An answer with a text of a program.
    public static func text(_ text: String) -> StatusPage {
        var page = StatusPage(status: 200, text)
        page.isPlain = true
        return page
    }

    /// A page.
    public init(status: Int, _ sentence: String) {
        (self.status, self.sentence) = (status, sentence)
    }

    /// No service has the name or the path.
    public static let notFound = StatusPage(status: 404, "There is no site at this address.")
    /// The certificate or the listener does not have the name.
    public static let misdirected = StatusPage(status: 421, "This connection does not serve that name.")
    /// The visitor's address is not permitted.
    public static let forbidden = StatusPage(status: 403, "Your address is not permitted here.")
    /// The service cannot be reached, or has answered with something that is not HTTP.
    public static let badGateway = StatusPage(status: 502, "The site is not running at the moment.")
    /// The service has not answered in time.
    public static let timeout = StatusPage(status: 504, "The site did not answer in time.")
    /// The request has taken too long.
    public static let requestTimeout = StatusPage(status: 408, "The request took too long.")

    /// The site is not connected, or has no room.
    public static func unavailable(retryAfter seconds: Int) -> StatusPage {
        var page = StatusPage(status: 503, "The site is not available at the moment. Please try again soon.")
        page.fields = [Field(name: "Retry-After", value: "\(seconds)")]
        return page
    }

    /// The visitor sends too many requests.
    public static func tooMany(retryAfter seconds: Int) -> StatusPage {
        var page = StatusPage(status: 429, "Too many requests. Please try again soon.")
        page.fields = [Field(name: "Retry-After", value: "\(seconds)")]
        return page
    }

    /// The visitor has to name itself.
    public static let unauthorized: StatusPage = {
        var page = StatusPage(status: 401, "This site wants a user name and a password.")
        page.fields = [Field(name: "WWW-Authenticate", value: "Basic realm=\"site\", charset=\"UTF-8\"")]
        return page
    }()

    /// The site is at another place.
    public static func redirect(to url: String) -> StatusPage {
        var page = StatusPage(status: 308, "The site is at another address.")
        page.fields = [Field(name: "Location", value: url)]
        return page
    }

    /// The page for a request that is not relayed.
    public static func refusal(status: Int) -> StatusPage {
        var page = StatusPage(status: status, "The request cannot be served.")
        // RFC 9110 section 15.5.6.
        if status == 405 {
            page.fields = [Field(name: "Allow", value: "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")]
        }
        return page
    }

    /// The answer.
    ///
    /// - Parameters:
    ///   - accept: the Accept fields of the request, or their elements; none if its head could not be read.
    /// - Returns: the head, whose Content-Length is that of the body, and the body, which an answer to HEAD does not have.
    public func answer(accept: [String]) -> (head: ResponseHead, body: ByteBuffer) {
        let isHTML = !isPlain && accept.lazy.flatMap { $0.split(separator: ",") }.contains(where: Self.isHTML)
        let reason = ReasonPhrase.text(for: status)
        let text = isPlain ? sentence : "\(status) \(reason)\n\(sentence)\n"
        let body = ByteBuffer(string: isHTML ? html(reason) : text)
        var head = ResponseHead(status: status, reason: reason)
        for field in fields { try? head.fields.append(field.name, field.value) }
        try? head.fields.append("Content-Type", "\(isHTML ? "text/html" : "text/plain"); charset=utf-8")
        try? head.fields.append("Cache-Control", "no-store")
        try? head.fields.append("Content-Length", "\(body.readableBytes)")
        return (head, body)
    }

    /// Whether an element of Accept is `text/html`, with any weight but 0.
    private static func isHTML(_ element: Substring) -> Bool {
        let parts = element.lowercased().filter { $0 != " " && $0 != "\t" }.split(separator: ";")
        return parts.first == "text/html"
            && !parts.dropFirst().contains { ["q=0", "q=0.0", "q=0.00", "q=0.000"].contains($0) }
    }

    private func html(_ reason: String) -> String {
        """
        <!doctype html>
        <html lang="en">
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width">
        <meta name="color-scheme" content="light dark">
        <title>\(status) \(reason)</title>
        <style>body { font: 1rem/1.5 system-ui, sans-serif; margin: 15vh auto; max-width: 32rem; padding: 0 1rem }</style>
        <h1>\(status) \(reason)</h1>
        <p>\(sentence)</p>
        </html>

        """
    }
}
