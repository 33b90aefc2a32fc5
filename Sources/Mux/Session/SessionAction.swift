import NIOCore

/// What a session wants done after an input. The caller takes them one by one with ``Session/nextAction()`` and only
/// then gives the next input, so that the session is never entered twice.
public enum SessionAction: Sendable, Hashable {
    /// Server: bind a public port, and answer with ``Session/bound(_:)`` or ``Session/unbound(_:_:)``.
    case bind(BindRequest)
    /// Client: a port is public.
    case bound(Binding)
    /// Client: a port could not be bound, or has been given up.
    case unbound(tunnel: UInt16, Refusal)
    /// Connect to the service of this tunnel, and answer with ``Session/accept(_:now:)`` or a reset.
    case open(StreamID, OpenRequest)
    /// The other end has reached its service.
    case accepted(StreamID)
    /// Write to the stream's socket, and report with ``Session/consumed(_:_:now:)`` what the socket has taken.
    case deliver(StreamID, ByteBuffer)
    /// Nothing more will be delivered: half-close the socket once all is written.
    case end(StreamID)
    /// The peer has reset the stream, or the session has ended: reset the socket once it has taken what was delivered,
    /// and report that with ``Session/consumed(_:_:now:)`` as before. If ``Session/holds(_:)`` is still true, `.closed` or
    /// `.abort` follows. The caller bounds how long a socket may take.
    case reset(StreamID, ResetCode)
    /// The stream is gone, because there is no room for it or the peer broke its rules: reset the socket at once.
    case abort(StreamID, ResetCode)
    /// The stream takes no more bytes for now: stop reading its socket.
    case blocked(StreamID)
    /// The stream takes bytes again: read its socket.
    case sendable(StreamID)
    /// There may be room for another stream, where there was none: ask ``Session/room(at:)``. Raised after all other
    /// actions. Also raised when streams have ended, so that a session that drains can be ended with the last of them.
    case roomChanged
    /// This end's stream numbers are about to run out: drain this session and begin another. Raised once.
    case numbersRunOut
    /// Both directions have ended in order, and the stream's number is forgotten. Everything that was delivered has been
    /// consumed, unless the session ended: then the socket still takes what it was given.
    case closed(StreamID)
    /// The peer has answered a PING: it lives.
    case answered
    /// Client: the server wants a new carrier within so many seconds; the old one stays until then.
    case renew(within: UInt32)
    /// The peer will accept nothing new, and ends the session once what runs has ended.
    case goingAway(Refusal)
}
