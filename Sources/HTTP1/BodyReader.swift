import NIOCore

/// Separates the content of one message's body from its framing (RFC 9112, sections 6 and 7).
///
/// Chunk extensions are discarded. Trailer fields follow the content, checked like the fields of a request's head.
public struct BodyReader: Sendable {
    /// A part of the body.
    public enum Part: Sendable, Equatable {
        /// Bytes of the content, never none.
        case content(ByteBuffer)
        /// The body is complete. Later calls return nil.
        case end(trailers: HeaderFields)
    }

    private enum State: Sendable {
        case length(remaining: Int)
        case chunked(ChunkedBody, framing: Int)
        case trailers(LineReader, FieldLine, HeaderFields)
        case untilClose
        case finished
        case failed(HTTP1Error)
        /// Held while trailers are modified, so that their arrays have one owner and are not copied.
        case modifying
    }

    /// Bytes of one chunk's size line with its extensions, and of the line end before it. Extensions have no use, and
    /// the size needs ten bytes.
    public static let maximumChunkLine = 1_024

    private let limits: HeadLimits
    private var state: State

    /// Creates a reader.
    ///
    /// - Parameter limits: bounds the trailer fields.
    public init(_ framing: BodyFraming, limits: HeadLimits = .request) {
        self.limits = limits
        state =
            switch framing {
            case .none: .length(remaining: 0)
            case .length(let count): .length(remaining: count)
            case .chunked: .chunked(ChunkedBody(), framing: 0)
            case .untilClose: .untilClose
            }
    }

    /// Whether the whole body was read.
    public var isFinished: Bool {
        if case .finished = state { true } else { false }
    }

    /// Consumes the next part from `buffer` and leaves what follows.
    ///
    /// - Returns: nil if more bytes are needed, or after the end.
    /// - Throws: `malformedChunk`, or an error of the trailer fields. Later calls throw the same error.
    public mutating func next(from buffer: inout ByteBuffer) throws(HTTP1Error) -> Part? {
        do {
            return try read(&buffer)
        } catch {
            state = .failed(error)
            throw error
        }
    }

    /// The connection has ended. No part follows.
    ///
    /// - Returns: whether the body is complete.
    public mutating func ended() -> Bool {
        switch state {
        case .untilClose, .length(remaining: 0):
            state = .finished
            return true
        default:
            return isFinished
        }
    }

    private mutating func read(_ buffer: inout ByteBuffer) throws(HTTP1Error) -> Part? {
        while true {
            switch state {
            case .finished:
                return nil
            case .failed(let error):
                throw error
            case .modifying:
                preconditionFailure("left in the middle of a change")
            case .length(remaining: 0):
                state = .finished
                return .end(trailers: HeaderFields())
            case .length(let remaining):
                guard let bytes = Self.take(remaining, &buffer) else { return nil }
                state = .length(remaining: remaining - bytes.readableBytes)
                return .content(bytes)
            case .untilClose:
                return Self.take(buffer.readableBytes, &buffer).map { .content($0) }
            case .chunked(var body, var framing):
                if case .content(let remaining) = body.next() {
                    guard let bytes = Self.take(remaining, &buffer) else { return nil }
                    body.consumed(bytes.readableBytes)
                    state = .chunked(body, framing: 0)
                    return .content(bytes)
                }
                guard let byte = buffer.readInteger(as: UInt8.self) else { return nil }
                framing += 1
                guard framing <= Self.maximumChunkLine else { throw HTTP1Error(.malformedChunk) }
                _ = try body.accept(byte)
                state = .chunked(body, framing: framing)
                if body.isInTrailers {
                    let reader = LineReader(limits: limits, allowsBareLineFeed: false)
                    state = .trailers(reader, FieldLine(limits: limits, isAnswer: false), HeaderFields())
                }
            case .trailers(var reader, var grammar, var fields):
                state = .modifying
                guard let line = try reader.next(from: &buffer, &grammar) else {
                    state = .trailers(reader, grammar, fields)
                    return nil
                }
                if grammar.append(line, to: &fields) {
                    state = .trailers(reader, grammar, fields)
                } else {
                    state = .finished
                    return .end(trailers: fields)
                }
            }
        }
    }

    private static func take(_ count: Int, _ buffer: inout ByteBuffer) -> ByteBuffer? {
        let count = min(count, buffer.readableBytes)
        return count > 0 ? buffer.readSlice(length: count) : nil
    }
}
