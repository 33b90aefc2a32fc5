/// Where a chunked body stands (RFC 9112 section 7.1). Strict: CRLF only, at most eight digits of size, no control
/// characters in extensions or trailers; extensions and trailers are dropped.
struct ChunkedBody: Sendable {
    enum Next {
        /// So many bytes of content come next.
        case content(remaining: Int)
        /// A byte of framing comes next.
        case framing
    }

    private enum State: Sendable {
        case size(digits: Int, value: Int)
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

    /// Whether the last chunk has been taken: trailers follow, or the end.
    var isInTrailers: Bool {
        switch state {
        case .trailerStart, .trailer, .trailerLineFeed, .lastLineFeed: true
        case .size, .extension, .sizeLineFeed, .content, .contentReturn, .contentLineFeed: false
        }
    }

    mutating func consumed(_ count: Int) {
        guard case .content(let remaining) = state else { return }
        state = remaining > count ? .content(remaining: remaining - count) : .contentReturn
    }

    /// Takes a byte of framing; true when it was the last one of the body.
    mutating func accept(_ byte: UInt8) throws(HTTP1Error) -> Bool {
        switch state {
        case .size(let digits, let value):
            if let digit = byte.hexValue {
                // Eight digits are 4 GiB: no overflow, and far beyond any cap.
                guard digits < 8 else { throw HTTP1Error(.malformedChunk) }
                state = .size(digits: digits + 1, value: value << 4 | digit)
            } else {
                guard digits > 0 else { throw HTTP1Error(.malformedChunk) }
                if byte == .carriageReturn {
                    state = .sizeLineFeed(size: value)
                } else {
                    guard byte == UInt8(ascii: ";") || byte.isBlank else { throw HTTP1Error(.malformedChunk) }
                    state = .extension(size: value)
                }
            }
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

    private func check(_ isLegal: Bool) throws(HTTP1Error) {
        guard isLegal else { throw HTTP1Error(.malformedChunk) }
    }
}
