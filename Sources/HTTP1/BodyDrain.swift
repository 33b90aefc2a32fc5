import NIOCore

/// Reads and discards the body of an answer, so that the connection can carry the next exchange. Keeps the beginning
/// for an error message.
///
/// The framing follows RFC 9112, section 6.3: no body for 1xx, 204 and 304; otherwise the last transfer coding if it is
/// chunked; otherwise Content-Length; otherwise the end of the connection. The limit counts raw bytes, including chunk
/// sizes, chunk extensions and trailers (CVE-2023-39326). A declared length costs nothing.
///
/// Not for an answer to HEAD, nor for a 2xx answer to CONNECT, which has no body (RFC 9110, section 9.3.6). Trailer
/// fields are discarded. Transfer codings other than chunked are not decoded.
public struct BodyDrain: Sendable {
    private enum State: Sendable {
        case finished
        case length(remaining: Int)
        case chunked(ChunkedBody)
        case untilClose
        case failed(HTTP1Error)
    }

    /// Bytes of the content that are kept by default.
    public static let collectedLimit = 4096

    /// The kept beginning of the content, without chunk framing.
    public private(set) var collected = ByteBuffer()
    /// The value of Content-Length, if it frames the body.
    public let declaredLength: Int?
    /// Whether the body ends with the connection, which then cannot be reused.
    public let endsWithConnection: Bool

    private var state: State
    private var allowance: Int
    private let kept: Int

    /// Creates a drain for the body of an answer.
    ///
    /// - Parameters:
    ///   - response: the answer's head.
    ///   - limit: raw bytes that may be read; a body of exactly this size passes.
    ///   - kept: bytes of the content to keep.
    /// - Throws: `malformedLength` if a Content-Length is not a decimal number or several differ.
    public init(
        response: ResponseHead,
        limit: Int = 65536,
        keeping kept: Int = Self.collectedLimit
    ) throws(HTTP1Error) {
        allowance = max(limit, 0)
        self.kept = max(kept, 0)
        let codings = response.fields.list("Transfer-Encoding")
        let length = try Self.contentLength(response.fields)
        switch (response.status, codings.last, length) {
        case (100...199, _, _), (204, _, _), (304, _, _):
            state = .finished
        case (_, .some(let coding), _):
            state = coding.equalsIgnoringCase("chunked") ? .chunked(ChunkedBody()) : .untilClose
        case (_, nil, .some(let length)):
            state = length == 0 ? .finished : .length(remaining: length)
        case (_, nil, nil):
            state = .untilClose
        }
        if case .untilClose = state { endsWithConnection = true } else { endsWithConnection = false }
        declaredLength = codings.isEmpty ? length : nil
    }

    /// Whether the whole body was read.
    public var isFinished: Bool {
        if case .finished = state { true } else { false }
    }

    /// Consumes the body's bytes from `buffer` and leaves what follows.
    ///
    /// - Returns: whether the body is complete.
    /// - Throws: `bodyTooLarge` at the first byte beyond the limit, or `malformedChunk`. Later calls throw the same
    ///   error. The kept bytes stay available.
    public mutating func receive(_ buffer: inout ByteBuffer) throws(HTTP1Error) -> Bool {
        do {
            return try read(&buffer)
        } catch {
            state = .failed(error)
            throw error
        }
    }

    /// Reports the end of the connection.
    ///
    /// - Returns: whether the body is complete; false if it was cut short.
    @discardableResult
    public mutating func ended() -> Bool {
        switch state {
        case .finished:
            return true
        case .untilClose:
            state = .finished
            return true
        case .length, .chunked:
            state = .failed(HTTP1Error(.unexpectedEnd))
            return false
        case .failed:
            return false
        }
    }

    private mutating func read(_ buffer: inout ByteBuffer) throws(HTTP1Error) -> Bool {
        switch state {
        case .finished:
            return true
        case .failed(let error):
            throw error
        case .untilClose:
            try take(buffer.readableBytes, from: &buffer)
            return false
        case .length(let remaining):
            let count = min(remaining, buffer.readableBytes)
            try take(count, from: &buffer)
            state = remaining == count ? .finished : .length(remaining: remaining - count)
            return remaining == count
        case .chunked(var body):
            while buffer.readableBytes > 0 {
                switch body.next() {
                case .content(let remaining):
                    let count = min(remaining, buffer.readableBytes)
                    try take(count, from: &buffer)
                    body.consumed(count)
                case .framing:
                    guard allowance > 0 else { throw HTTP1Error(.bodyTooLarge) }
                    guard let byte = buffer.readInteger(as: UInt8.self) else { break }
                    allowance -= 1
                    if try body.accept(byte) {
                        state = .finished
                        return true
                    }
                }
            }
            state = .chunked(body)
            return false
        }
    }

    /// Consumes content. Bytes beyond the limit stay in the buffer; the beginning is kept before the error is thrown.
    private mutating func take(_ count: Int, from buffer: inout ByteBuffer) throws(HTTP1Error) {
        let allowed = min(count, allowance)
        guard var bytes = buffer.readSlice(length: allowed) else { return }
        allowance -= allowed
        let room = min(kept - collected.readableBytes, bytes.readableBytes)
        if room > 0, var start = bytes.readSlice(length: room) {
            collected.writeBuffer(&start)
        }
        guard allowed == count else { throw HTTP1Error(.bodyTooLarge) }
    }

    /// Returns the value of Content-Length, which may be repeated if all values are equal (RFC 9110, section 8.6).
    private static func contentLength(_ fields: HeaderFields) throws(HTTP1Error) -> Int? {
        var length: Int?
        for value in fields.values(of: "Content-Length") {
            for member in value.utf8.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
                let digits = member.trimmed
                // `Int` would accept a sign, which RFC 9110 forbids. It returns nil on overflow.
                guard digits.allSatisfy(\.isDigit), let number = Int(Substring(digits)), length ?? number == number
                else { throw HTTP1Error(.malformedLength) }
                length = number
            }
        }
        return length
    }
}
