import NIOCore

/// Reads the answer to one request, with the informational answers before it.
public struct ResponseReader: Sendable {
    /// A part of the answer.
    public enum Event: Sendable, Equatable {
        /// An informational answer, 1xx but 101; the final one follows.
        case informational(ResponseHead)
        /// The final answer begins.
        case head(ResponseHead, BodyFraming)
        /// Content of its body.
        case content(ByteBuffer)
        /// The answer is complete.
        case end(trailers: HeaderFields)
        /// Status 101: everything behind the head belongs to the other protocol.
        case switched(ResponseHead)
    }

    private enum State: Sendable {
        case head(informational: Int)
        case body(BodyReader)
        case finished
        case failed(HTTP1Error)
        /// Held while a body's reader is modified, so that its arrays have one owner and are not copied.
        case modifying
    }

    /// Informational answers to one request. A service sends one or two, and a flood of them would never end.
    public static let maximumInformational = 16

    private let method: String
    private let maySwitch: Bool
    private var parser: ResponseHeadParser
    private var state = State.head(informational: 0)
    /// Whether the connection can carry another request after this answer.
    public private(set) var isPersistent = false

    /// Creates a reader.
    ///
    /// - Parameters:
    ///   - method: the request's method.
    ///   - maySwitch: whether the request asked for another protocol.
    public init(to method: String, maySwitch: Bool, limits: HeadLimits = .response) {
        self.method = method
        self.maySwitch = maySwitch
        parser = ResponseHeadParser(limits: limits)
    }

    /// Whether the final answer has begun: a head was returned. An answer whose head is malformed has not begun.
    public private(set) var hasBegun = false

    /// Whether the answer is complete.
    public var isFinished: Bool {
        if case .finished = state { true } else { false }
    }

    /// Consumes the next part from `buffer` and leaves what follows.
    ///
    /// - Returns: nil if more bytes are needed, or after the end.
    /// - Throws: ``HTTP1Error`` if the answer is malformed. Later calls throw the same error.
    public mutating func next(from buffer: inout ByteBuffer) throws(HTTP1Error) -> Event? {
        do {
            return try read(&buffer)
        } catch {
            state = .failed(error)
            throw error
        }
    }

    /// The connection has ended.
    ///
    /// - Returns: whether the answer is complete.
    public mutating func ended() -> Bool {
        guard case .body(var body) = state else { return isFinished }
        guard body.ended() else { return false }
        state = .finished
        return true
    }

    private mutating func read(_ buffer: inout ByteBuffer) throws(HTTP1Error) -> Event? {
        switch state {
        case .failed(let error):
            throw error
        case .modifying:
            preconditionFailure("left in the middle of a change")
        case .finished:
            return nil
        case .head(let informational):
            guard let head = try parser.receive(&buffer) else { return nil }
            if head.status == 101 {
                guard maySwitch else { throw HTTP1Error(.malformedStatus) }
                (state, hasBegun) = (.finished, true)
                return .switched(head)
            }
            guard head.status >= 200 else {
                guard informational < Self.maximumInformational else { throw HTTP1Error(.malformedStatus) }
                state = .head(informational: informational + 1)
                return .informational(head)
            }
            let framing = try BodyFraming(of: head, to: method)
            isPersistent = Self.isPersistent(head, framing)
            (state, hasBegun) = (.body(BodyReader(framing)), true)
            return .head(head, framing)
        case .body(var body):
            state = .modifying
            let part = try body.next(from: &buffer)
            state = body.isFinished ? .finished : .body(body)
            return switch part {
            case .content(let bytes): .content(bytes)
            case .end(let trailers): .end(trailers: trailers)
            case nil: nil
            }
        }
    }

    /// An answer whose end may be meant otherwise is the last of its connection (RFC 9112, sections 6.1 and 6.3): one with
    /// both lengths, one of HTTP/1.0 with chunks, and a 204 that declares a body.
    private static func isPersistent(_ head: ResponseHead, _ framing: BodyFraming) -> Bool {
        guard framing != .untilClose, !head.fields.contains("Connection", token: "close") else { return false }
        let hasCoding = head.fields.first("Transfer-Encoding") != nil
        let length = head.fields.first("Content-Length")
        guard !hasCoding || length == nil && head.version >= .http1_1 && head.status != 204 else { return false }
        guard head.status != 204 || length == nil || length == "0" else { return false }
        return head.version >= .http1_1 || head.fields.contains("Connection", token: "keep-alive")
    }
}
