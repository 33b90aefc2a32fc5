/// The state of one stream at one end, from OPEN to the end of both directions (protocol page, section 3).
///
/// ```
///             accept              both directions have ended
///  opening ------------> open ---------------------------------> ended
///     |                    |                                       ^
///     +--------------------+------- the peer's RESET, abandon -----+
///
///  sending:    open --finish--> finishing --END sent--> ended
///                |                  |
///                +-----reset--------+--> resetting(code): RESET follows the queue, then the session forgets the stream
///
///  receiving:  open --END received--> ended
/// ```
///
/// The two directions end independently, so `opening` and `open` carry both. An opener may finish before ACCEPT
/// arrives; an acceptor may receive END before it accepts.
struct StreamLifecycle: Equatable, Sendable {
    private enum State: Equatable {
        /// The opener waits for ACCEPT, or the acceptor has not sent it.
        case opening(Sending, Receiving)
        case open(Sending, Receiving)
        /// Nothing more is sent or received. The socket may still have bytes to accept.
        case ended
    }

    private enum Sending: Equatable {
        case open
        /// The socket has no more bytes: END follows the queue.
        case finishing
        /// The socket was reset: RESET follows the queue.
        case resetting(ResetCode)
        case ended
    }

    private enum Receiving: Equatable {
        case open
        case ended
    }

    /// The kind of frame that the stream sends next.
    enum Next: Equatable {
        case data
        case end
        case reset(ResetCode)
    }

    private var state = State.opening(.open, .open)

    // MARK: State

    /// Whether ACCEPT is outstanding.
    var isOpening: Bool {
        if case .opening = state { true } else { false }
    }

    /// Whether the socket may still deliver bytes.
    var takesBytes: Bool {
        switch state {
        case .opening(.open, _), .open(.open, _): true
        case .opening, .open, .ended: false
        }
    }

    /// Whether the peer has sent END or RESET.
    var inputEnded: Bool {
        switch state {
        case .opening(_, .ended), .open(_, .ended), .ended: true
        case .opening, .open: false
        }
    }

    /// Whether both directions have ended on the wire.
    var isEnded: Bool {
        if case .ended = state { true } else { false }
    }

    /// The code of the RESET that waits behind the queue; nil if none waits.
    var pendingReset: ResetCode? {
        switch state {
        case .opening(.resetting(let code), _), .open(.resetting(let code), _): code
        case .opening, .open, .ended: nil
        }
    }

    /// Returns the kind of frame to send next; nil if nothing may be sent.
    ///
    /// - Parameters:
    ///   - queued: bytes in the queue.
    ///   - credit: bytes that the peer accepts.
    func next(queued: Int, credit: Int) -> Next? {
        switch state {
        case .opening(let sending, _), .open(let sending, _):
            switch sending {
            case .open: queued > 0 && credit > 0 ? .data : nil
            case .finishing: queued == 0 ? .end : credit > 0 ? .data : nil
            case .resetting(let code): queued == 0 ? .reset(code) : credit > 0 ? .data : nil
            case .ended: nil
            }
        case .ended: nil
        }
    }

    // MARK: Events

    /// Records that ACCEPT was sent or received. Ignored unless the stream is opening.
    mutating func accept() {
        guard case .opening(let sending, let receiving) = state else { return }
        state = Self.open(sending, receiving)
    }

    /// Records the socket's end of input. Ignored if the sending direction is already ending.
    mutating func finish() {
        switch state {
        case .opening(.open, let receiving): state = .opening(.finishing, receiving)
        case .open(.open, let receiving): state = .open(.finishing, receiving)
        case .opening, .open, .ended: break
        }
    }

    /// Records that the socket was reset: RESET replaces END. Ignored after both directions have ended.
    mutating func reset(_ code: ResetCode) {
        switch state {
        case .opening(_, let receiving): state = .opening(.resetting(code), receiving)
        case .open(_, let receiving): state = .open(.resetting(code), receiving)
        case .ended: break
        }
    }

    /// Records that END was sent.
    mutating func endSent() {
        switch state {
        case .opening(.finishing, let receiving): state = .opening(.ended, receiving)
        case .open(.finishing, let receiving): state = Self.open(.ended, receiving)
        case .opening, .open, .ended: break
        }
    }

    /// Records the peer's END.
    mutating func endReceived() {
        switch state {
        case .opening(let sending, _): state = .opening(sending, .ended)
        case .open(let sending, _): state = Self.open(sending, .ended)
        case .ended: break
        }
    }

    /// Ends both directions at once, after the peer's RESET or when the session drops the stream.
    mutating func abandon() {
        state = .ended
    }

    private static func open(_ sending: Sending, _ receiving: Receiving) -> State {
        sending == .ended && receiving == .ended ? .ended : .open(sending, receiving)
    }
}

extension StreamLifecycle: CustomStringConvertible {
    /// The state for tests and diagnostics, such as `open, sending finishing, receiving ended`.
    var description: String {
        switch state {
        case .opening(let sending, let receiving): "opening, sending \(sending), receiving \(receiving)"
        case .open(let sending, let receiving): "open, sending \(sending), receiving \(receiving)"
        case .ended: "ended"
        }
    }
}
