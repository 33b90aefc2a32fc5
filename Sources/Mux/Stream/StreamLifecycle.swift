/// The life of one stream at one end, from OPEN to the end of both directions (protocol page, section 3).
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
///  receiving:  open --END came--> ended
/// ```
///
/// The two directions end independently, so `opening` and `open` carry both. An opener may finish while it is still
/// opening; an acceptor may receive END before it has accepted.
struct StreamLifecycle: Equatable, Sendable {
    private enum State: Equatable {
        /// The opener waits for ACCEPT, or the acceptor has not sent it.
        case opening(Sending, Receiving)
        case open(Sending, Receiving)
        /// Nothing more may be sent or received. The socket may still have bytes to take.
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

    /// What the stream puts on the wire next.
    enum Next: Equatable {
        case data
        case end
        case reset(ResetCode)
    }

    private var state = State.opening(.open, .open)

    // MARK: Questions

    /// Whether ACCEPT is still missing.
    var isOpening: Bool {
        if case .opening = state { true } else { false }
    }

    /// Whether the socket may still bring bytes.
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

    /// What may be sent next.
    ///
    /// - Parameters:
    ///   - queued: bytes that wait.
    ///   - credit: bytes that the peer takes.
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

    /// ACCEPT was sent or has come. Ignored if the stream is not opening.
    mutating func accept() {
        guard case .opening(let sending, let receiving) = state else { return }
        state = Self.open(sending, receiving)
    }

    /// The socket has no more bytes. Ignored if the direction is ending already.
    mutating func finish() {
        switch state {
        case .opening(.open, let receiving): state = .opening(.finishing, receiving)
        case .open(.open, let receiving): state = .open(.finishing, receiving)
        case .opening, .open, .ended: break
        }
    }

    /// The socket was reset: RESET takes END's place. Ignored if both directions have ended.
    mutating func reset(_ code: ResetCode) {
        switch state {
        case .opening(_, let receiving): state = .opening(.resetting(code), receiving)
        case .open(_, let receiving): state = .open(.resetting(code), receiving)
        case .ended: break
        }
    }

    /// END has left.
    mutating func endSent() {
        switch state {
        case .opening(.finishing, let receiving): state = .opening(.ended, receiving)
        case .open(.finishing, let receiving): state = Self.open(.ended, receiving)
        case .opening, .open, .ended: break
        }
    }

    /// END has come.
    mutating func endReceived() {
        switch state {
        case .opening(let sending, _): state = .opening(sending, .ended)
        case .open(let sending, _): state = Self.open(sending, .ended)
        case .ended: break
        }
    }

    /// The peer's RESET has come, or the session gives the stream up: both directions end at once.
    mutating func abandon() {
        state = .ended
    }

    private static func open(_ sending: Sending, _ receiving: Receiving) -> State {
        sending == .ended && receiving == .ended ? .ended : .open(sending, receiving)
    }
}

extension StreamLifecycle: CustomStringConvertible {
    /// The state, for tests and diagnostics: `open, sending finishing, receiving ended`.
    var description: String {
        switch state {
        case .opening(let sending, let receiving): "opening, sending \(sending), receiving \(receiving)"
        case .open(let sending, let receiving): "open, sending \(sending), receiving \(receiving)"
        case .ended: "ended"
        }
    }
}
