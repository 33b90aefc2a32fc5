/// The end of a message's body on the wire (RFC 9112, section 6.3).
public enum BodyFraming: Sendable, Hashable {
    /// No body.
    case none
    /// So many bytes.
    case length(Int)
    /// Chunks, and perhaps trailer fields.
    case chunked
    /// Everything until the connection ends. Answers only.
    case untilClose

    /// The framing of a request's body.
    ///
    /// Strict, since another recipient may read an ambiguous request otherwise (request smuggling): one Content-Length
    /// of decimal digits, or `chunked` alone in HTTP/1.1, and never both.
    ///
    /// - Throws: `malformedLength`, or `duplicateField` if either field is repeated.
    public init(of head: RequestHead) throws(HTTP1Error) {
        let length = try head.fields.single("Content-Length")
        let coding = try head.fields.single("Transfer-Encoding")
        switch (length, coding) {
        case (nil, nil):
            self = .none
        case (let length?, nil):
            guard let count = Self.count(length) else { throw HTTP1Error(.malformedLength) }
            self = .length(count)
        case (nil, let coding?):
            guard coding.equalsIgnoringCase("chunked"), head.version == .http1_1 else {
                throw HTTP1Error(.malformedLength)
            }
            self = .chunked
        case (_?, _?):
            throw HTTP1Error(.malformedLength)
        }
    }

    /// The framing of an answer's body.
    ///
    /// Transfer-Encoding wins over Content-Length. Content-Length may be repeated with equal values.
    ///
    /// - Parameter method: the request's method; an answer to HEAD has no body.
    /// - Throws: `malformedLength` for lengths that differ or are no numbers, and for codings other than `chunked`.
    public init(of head: ResponseHead, to method: String) throws(HTTP1Error) {
        let codings = head.fields.list("Transfer-Encoding")
        let hasCoding = head.fields.first("Transfer-Encoding") != nil
        guard !hasCoding || codings.count == 1 && codings[0].equalsIgnoringCase("chunked") else {
            throw HTTP1Error(.malformedLength)
        }
        var length: Int?
        for value in head.fields.values(of: "Content-Length") {
            for member in value.utf8.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
                guard let count = Self.count(String(Substring(member.trimmed))), length ?? count == count else {
                    throw HTTP1Error(.malformedLength)
                }
                length = count
            }
        }
        switch head.status {
        case 100...199, 204, 304: self = .none
        case _ where method == "HEAD": self = .none
        case _ where !codings.isEmpty: self = .chunked
        default: self = length.map { .length($0) } ?? .untilClose
        }
    }

    /// A decimal number; nil for signs, other characters and numbers that do not fit.
    private static func count(_ text: String) -> Int? {
        guard !text.isEmpty, text.utf8.allSatisfy(\.isDigit) else { return nil }
        return Int(text)
    }
}
