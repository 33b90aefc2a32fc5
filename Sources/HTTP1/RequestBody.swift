import NIOCore

/// Extracts the body of one request from the bytes behind its head, for forwarding.
///
/// Bytes behind the body would be another, unchecked request, so they are left. Chunks are forwarded unchanged.
/// Trailers are discarded, since some recipients merge them into the head.
public struct RequestBody: Sendable {
    private enum State: Sendable {
        case length(remaining: Int)
        case chunked(ChunkedBody)
        case finished
        case failed(HTTP1Error)
    }

    private var state: State

    /// Creates an extractor for the request with this head (RFC 9112, section 6.3).
    ///
    /// - Throws: `malformedLength` if Content-Length is not a decimal number or accompanies Transfer-Encoding, or for
    ///   any coding but a single `chunked`. `duplicateField` if either field is repeated.
    public init(of head: RequestHead) throws(HTTP1Error) {
        switch try BodyFraming(of: head) {
        case .none, .length(0), .untilClose: state = .finished
        case .length(let count): state = .length(remaining: count)
        case .chunked: state = .chunked(ChunkedBody())
        }
    }

    /// Whether the whole body was extracted.
    public var isFinished: Bool {
        if case .finished = state { true } else { false }
    }

    /// Consumes the body's bytes from `buffer` and returns them in the form to forward. What follows the body stays.
    ///
    /// - Throws: `malformedChunk`. Later calls throw the same error.
    public mutating func take(from buffer: inout ByteBuffer) throws(HTTP1Error) -> ByteBuffer {
        switch state {
        case .finished:
            return ByteBuffer()
        case .failed(let error):
            throw error
        case .length(let remaining):
            let bytes = buffer.readSlice(length: min(remaining, buffer.readableBytes)) ?? ByteBuffer()
            let left = remaining - bytes.readableBytes
            state = left == 0 ? .finished : .length(remaining: left)
            return bytes
        case .chunked(var body):
            var taken = ByteBuffer()
            do {
                let isComplete = try Self.take(from: &buffer, &body, into: &taken)
                state = isComplete ? .finished : .chunked(body)
            } catch {
                state = .failed(error)
                throw error
            }
            return taken
        }
    }

    private static func take(
        from buffer: inout ByteBuffer,
        _ body: inout ChunkedBody,
        into taken: inout ByteBuffer
    ) throws(HTTP1Error) -> Bool {
        while buffer.readableBytes > 0 {
            switch body.next() {
            case .content(let remaining):
                let count = min(remaining, buffer.readableBytes)
                if var bytes = buffer.readSlice(length: count) { taken.writeBuffer(&bytes) }
                body.consumed(count)
            case .framing:
                guard let byte = buffer.readInteger(as: UInt8.self) else { break }
                let isTrailer = body.isInTrailers
                if try body.accept(byte) {
                    taken.writeString("\r\n")
                    return true
                }
                if !isTrailer { taken.writeInteger(byte) }
            }
        }
        return false
    }
}
