import NIOCore

/// Reads the requests of one connection, one after the other: head, content, trailers.
///
/// As strict as ``RequestHeadParser`` and ``BodyFraming``: what two recipients could read differently is refused.
///
/// Behind a request for another protocol, the bytes may belong to that protocol. Call ``next(from:)`` again only if the
/// answer does not switch.
public struct RequestReader: Sendable {
    /// A part of a request.
    public enum Event: Sendable, Equatable {
        /// A request begins.
        case head(RequestHead, BodyFraming)
        /// Content of its body.
        case content(ByteBuffer)
        /// The request is complete.
        case end(trailers: HeaderFields)
    }

    private enum State: Sendable {
        case head
        case body(BodyReader)
        case failed(HTTP1Error)
        /// Held while a body's reader is modified, so that its arrays have one owner and are not copied.
        case modifying
    }

    private let limits: HeadLimits
    private var parser: RequestHeadParser
    private var state = State.head

    /// Creates a reader for a connection's first request.
    ///
    /// - Parameter limits: bounds each head, and the trailer fields of each body.
    public init(limits: HeadLimits = .request) {
        self.limits = limits
        parser = RequestHeadParser(limits: limits)
    }

    /// Whether the next byte begins a request. Bytes of an incomplete head may have come.
    public var isBetweenRequests: Bool {
        if case .head = state { true } else { false }
    }

    /// Whether no byte of the next request has come.
    public var isIdle: Bool { isBetweenRequests && parser.isIdle }

    /// Consumes the next part from `buffer` and leaves what follows.
    ///
    /// - Returns: nil if more bytes are needed.
    /// - Throws: ``HTTP1Error``; its `status` is the answer's. Later calls throw the same error.
    public mutating func next(from buffer: inout ByteBuffer) throws(HTTP1Error) -> Event? {
        do {
            return try read(&buffer)
        } catch {
            state = .failed(error)
            throw error
        }
    }

    private mutating func read(_ buffer: inout ByteBuffer) throws(HTTP1Error) -> Event? {
        switch state {
        case .failed(let error):
            throw error
        case .modifying:
            preconditionFailure("left in the middle of a change")
        case .head:
            guard let head = try parser.receive(&buffer) else { return nil }
            let framing = try BodyFraming(of: head)
            state = .body(BodyReader(framing, limits: limits))
            return .head(head, framing)
        case .body(var body):
            state = .modifying
            let part = try body.next(from: &buffer)
            state = body.isFinished ? .head : .body(body)
            return switch part {
            case .content(let bytes): .content(bytes)
            case .end(let trailers): .end(trailers: trailers)
            case nil: nil
            }
        }
    }
}
