/// Decodes the framing of a chunked body (RFC 9112, section 7.1), strictly: CRLF only, at most eight digits of size,
/// and no control characters in extensions or trailers. Extensions and trailers are discarded.
struct ChunkedBody: Sendable {
    /// The kind of the next byte.
    enum Next {
        /// `remaining` bytes of content follow.
        case content(remaining: Int)
        /// A byte of framing follows.
        case framing
    }

    private enum State: Sendable {
        case size(digits: Int, value: Int)
        case padding(size: Int)
        case `extension`(size: Int)
        case sizeLineFeed(size: Int)
        case content(remaining: Int)
        case contentReturn
        case contentLineFeed
        case trailerStart
        case trailer
        case trailerLineFeed
        case lastLineFeed
    }

    private var state = State.size(digits: 0, value: 0)

    func next() -> Next {
        if case .content(let remaining) = state { .content(remaining: remaining) } else { .framing }
    }

    /// Whether the last chunk is complete, so that trailers or the end follow.
    var isInTrailers: Bool {
        switch state {
        case .trailerStart, .trailer, .trailerLineFeed, .lastLineFeed: true
        case .size, .padding, .extension, .sizeLineFeed, .content, .contentReturn, .contentLineFeed: false
        }
    }

    mutating func consumed(_ count: Int) {
        guard case .content(let remaining) = state else { return }
        state = remaining > count ? .content(remaining: remaining - count) : .contentReturn
    }

    /// Processes a byte of framing and returns whether it was the body's last byte.
    ///
    /// - Throws: `malformedChunk` if the byte is illegal.
    mutating func accept(_ byte: UInt8) throws(HTTP1Error) -> Bool {
        switch state {
        case .size(let digits, let value):
            if let digit = byte.hexValue {
                // Eight digits express 4 GiB, which cannot overflow and exceeds every limit.
                guard digits < 8 else { throw HTTP1Error(.malformedChunk) }
                state = .size(digits: digits + 1, value: value << 4 | digit)
            } else {
                guard digits > 0 else { throw HTTP1Error(.malformedChunk) }
                try endSize(byte, size: value)
            }
        case .padding(let size):
            try endSize(byte, size: size)
        case .extension(let size):
            if byte == .carriageReturn {
                state = .sizeLineFeed(size: size)
            } else {
                try check(byte.isFieldContent)
            }
        case .sizeLineFeed(let size):
            try check(byte == .lineFeed)
            state = size > 0 ? .content(remaining: size) : .trailerStart
        case .content:
            preconditionFailure("content is taken by consumed(_:)")
        case .contentReturn:
            try check(byte == .carriageReturn)
            state = .contentLineFeed
        case .contentLineFeed:
            try check(byte == .lineFeed)
            state = .size(digits: 0, value: 0)
        case .trailerStart:
            if byte == .carriageReturn {
                state = .lastLineFeed
            } else {
                try check(byte.isFieldContent)
                state = .trailer
            }
        case .trailer:
            if byte == .carriageReturn {
                state = .trailerLineFeed
            } else {
                try check(byte.isFieldContent)
            }
        case .trailerLineFeed:
            try check(byte == .lineFeed)
            state = .trailerStart
        case .lastLineFeed:
            try check(byte == .lineFeed)
            return true
        }
        return false
    }

    /// Processes a byte behind the digits of a size. Blanks may follow them, and extensions begin with a semicolon.
    private mutating func endSize(_ byte: UInt8, size: Int) throws(HTTP1Error) {
        switch byte {
        case .carriageReturn: state = .sizeLineFeed(size: size)
        case UInt8(ascii: ";"): state = .extension(size: size)
        default:
            try check(byte.isBlank)
            state = .padding(size: size)
        }
    }

    private func check(_ isLegal: Bool) throws(HTTP1Error) {
        guard isLegal else { throw HTTP1Error(.malformedChunk) }
    }
}
