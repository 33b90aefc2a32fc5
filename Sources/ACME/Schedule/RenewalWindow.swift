/// The time in which a CA wants a certificate to be renewed (RFC 9773, section 4.2).
public struct RenewalWindow: Sendable, Hashable {
    /// The first and the last second, since 1970.
    public let start: Int64, end: Int64
    /// The page that explains an unusual window; nil for none.
    public let explanation: String?

    /// Reads the CA's answer; nil for anything but a window.
    public init?(_ body: [UInt8]) {
        guard let read = ACMEResource.decode(ACMEResource.RenewalInfo.self, body),
            let start = CivilTime.timestamp(read.suggestedWindow.start),
            let end = CivilTime.timestamp(read.suggestedWindow.end)
        else { return nil }
        self.init(start: start, end: end, explanation: read.explanationURL)
    }

    /// Nil for a window that ends before it starts, or that is longer than any certificate's life.
    init?(start: Int64, end: Int64, explanation: String? = nil) {
        guard start <= end, end - start <= ACMELimits.longestWindow else { return nil }
        (self.start, self.end) = (start, end)
        self.explanation = explanation.flatMap { (try? ACMEURL($0))?.description }
    }

    /// A time in the window at random, so that not all servers come at once.
    func time(_ generator: inout some RandomNumberGenerator) -> Int64 {
        Int64.random(in: start...end, using: &generator)
    }

    /// Where the window of a certificate is.
    ///
    /// - Parameter identifier: its ``IssuedCertificate/renewalIdentifier``.
    public static func url(_ base: ACMEURL, _ identifier: String) -> ACMEURL? {
        let text = base.description
        return try? ACMEURL(text + (text.hasSuffix("/") ? "" : "/") + identifier)
    }

    /// The request for a window.
    public static func request(_ url: ACMEURL) -> ACMERequest { ACMERequest(.get, url) }
}
