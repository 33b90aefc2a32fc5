import NIOCore

/// Takes the body of one request off what comes behind its head, for handing it on.
///
/// Bytes after the body would be another request, without any check. Chunks pass as they are; trailers are dropped,
/// since some receivers take them for fields of the head.
public struct RequestBody: Sendable {
    private enum State: Sendable {
        case length(remaining: Int)
        case chunked(ChunkedBody)
        case finished
        case failed(HTTP1Error)
    }

    private var state: State

    /// The body of the request with this head (RFC 9112 section 6.3).
    ///
    /// - Throws: `malformedLength` for a Content-Length that is no decimal number, for one that stands beside
    ///   Transfer-Encoding, and for any coding but a single `chunked`; `duplicateField` for repeated ones.
    public init(of head: RequestHead) throws(HTTP1Error) {
        let length = try head.fields.single("Content-Length")
        let coding = try head.fields.single("Transfer-Encoding")
        switch (length, coding) {
        case (nil, nil):
            state = .finished
        case (let length?, nil):
            guard !length.isEmpty, length.utf8.allSatisfy(\.isDigit), let count = Int(length) else {
                throw HTTP1Error(.malformedLength)
            }
            state = count == 0 ? .finished : .length(remaining: count)
        case (nil, let coding?):
            guard coding.equalsIgnoringCase("chunked"), head.version == .http1_1 else {
                throw HTTP1Error(.malformedLength)
            }
            state = .chunked(ChunkedBody())
        case (_?, _?):
            throw HTTP1Error(.malformedLength)
        }
    }

    /// True once the whole body has been taken.
    public var isFinished: Bool {
        if case .finished = state { true } else { false }
    }

    /// Takes what belongs to the body off `buffer`, and returns it in the form in which it is handed on. What follows the
    /// body stays in `buffer`.
    ///
    /// - Throws: `malformedChunk`, and the same again for ever after.
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
