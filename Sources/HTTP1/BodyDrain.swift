import NIOCore

/// Reads past the body of an answer that nobody wants, so that the connection can carry the next exchange, and keeps
/// its beginning for an error message.
///
/// The framing is RFC 9112 section 6.3: no body for 1xx, 204 and 304, else the last transfer coding if it is chunked,
/// else Content-Length, else until the connection closes. The cap counts raw bytes as they come off the connection,
/// chunk sizes, chunk extensions and trailers included (CVE-2023-39326); a declared length costs nothing.
///
/// Not for the 2xx answer to CONNECT, which has no body whatever its fields say (RFC 9110 section 9.3.6), nor for an
/// answer to HEAD. Trailer fields are dropped unread. Other transfer codings than chunked are not undone.
public struct BodyDrain: Sendable {
    private enum State: Sendable {
        case finished
        case length(remaining: Int)
        case chunked(ChunkedBody)
        case untilClose
        case failed(HTTP1Error)
    }

    /// How many bytes of the content are kept, unless somebody wants more.
    public static let collectedLimit = 4096

    /// The beginning of the content, at most the bytes that were asked for, without chunk framing.
    public private(set) var collected = ByteBuffer()
    /// The length that the answer declared by Content-Length, when that frames it.
    public let declaredLength: Int?
    /// True when the body ends with the connection, so that this cannot be used again.
    public let endsWithConnection: Bool

    private var state: State
    private var allowance: Int
    private let kept: Int

    /// A drain for the body of this answer.
    ///
    /// - Parameters:
    ///   - limit: raw bytes that may be read; a body of exactly so many passes.
    ///   - kept: bytes of the content that are collected.
    /// - Throws: `malformedLength` for a Content-Length that is no decimal number or for several that differ.
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

    /// True once the whole body has been read.
    public var isFinished: Bool {
        if case .finished = state { true } else { false }
    }

    /// Takes what belongs to the body off `buffer`; what follows stays in it.
    ///
    /// - Returns: true once the body is complete.
    /// - Throws: `bodyTooLarge` at the first byte past the limit, `malformedChunk`; and the same again for ever after.
    ///   What was collected until then stays available.
    public mutating func receive(_ buffer: inout ByteBuffer) throws(HTTP1Error) -> Bool {
        do {
            return try read(&buffer)
        } catch {
            state = .failed(error)
            throw error
        }
    }

    /// Says that the connection has ended.
    ///
    /// - Returns: true when the body was complete, or ended as such a body must; false when it was cut off.
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

    /// Takes content off the buffer. What exceeds the cap stays there, after the beginning has been kept.
    private mutating func take(_ count: Int, from buffer: inout ByteBuffer) throws(HTTP1Error) {
        let allowed = min(count, allowance)
        guard var piece = buffer.readSlice(length: allowed) else { return }
        allowance -= allowed
        let room = min(kept - collected.readableBytes, piece.readableBytes)
        if room > 0, var start = piece.readSlice(length: room) {
            collected.writeBuffer(&start)
        }
        guard allowed == count else { throw HTTP1Error(.bodyTooLarge) }
    }

    /// The one value of Content-Length, which equal repetitions do not change (RFC 9110 section 8.6).
    private static func contentLength(_ fields: HeaderFields) throws(HTTP1Error) -> Int? {
        var length: Int?
        for value in fields.values(of: "Content-Length") {
            for member in value.utf8.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
                let digits = member.trimmed
                // `Int` would take a sign; RFC 9110 has digits only. Overflow gives nil.
                guard digits.allSatisfy(\.isDigit), let number = Int(Substring(digits)), length ?? number == number
                else { throw HTTP1Error(.malformedLength) }
                length = number
            }
        }
        return length
    }
}
