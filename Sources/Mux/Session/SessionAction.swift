import NIOCore

/// An action that a session requests after an input. The caller performs all of them, one by one with
/// ``Session/nextAction()``, before the next input. So the session is never re-entered.
public enum SessionAction: Sendable, Hashable {
    /// Server: bind a public port, and answer with ``Session/bound(_:)`` or ``Session/unbound(_:_:)``.
    case bind(BindRequest)
    /// Server: give the port up that the client gives back, and answer with ``Session/unbound(_:_:)``.
    case unbind(tunnel: UInt16)
    /// Server: the client says whether the service of a tunnel answers.
    case state(TunnelState)
    /// Client: a port is public.
    case bound(Binding)
    /// Client: a port could not be bound, or was given up.
    case unbound(tunnel: UInt16, Refusal)
    /// Connect to the tunnel's service, or to the destination if the client may name it, and answer with
    /// ``Session/accept(_:now:)`` or a reset.
    case open(StreamID, OpenRequest)
    /// The other end has reached the service or the destination of this end's stream.
    case accepted(StreamID)
    /// Write to the stream's socket, and report accepted bytes with ``Session/consumed(_:_:now:)``.
    case deliver(StreamID, ByteBuffer)
    /// Send a datagram from the flow's socket. It may be lost.
    case datagram(StreamID, ByteBuffer)
    /// Half-close the socket after all delivered bytes are written; nothing more follows.
    case end(StreamID)
    /// Reset the socket after it has accepted the delivered bytes, and report those with
    /// ``Session/consumed(_:_:now:)``. The peer has reset the stream, or the session has ended. If
    /// ``Session/holds(_:)`` is still true, `.closed` or `.abort` follows. The caller limits the time that a socket may
    /// take.
    case reset(StreamID, ResetCode)
    /// Reset the socket at once. The stream is gone: there is no room for it, or the peer broke its rules.
    case abort(StreamID, ResetCode)
    /// Stop reading the stream's socket.
    case blocked(StreamID)
    /// Resume reading the stream's socket.
    case sendable(StreamID)
    /// There may be room for another stream, after there was none: call ``Session/room(at:)``. Raised after all other
    /// actions, and whenever streams have ended or what they sent is acknowledged, so that a draining session can end.
    case roomChanged
    /// This end's stream numbers are about to run out: drain this session and start another. Raised once.
    case numbersRunOut
    /// Both directions have ended in order, and the session has forgotten the stream. The socket has accepted all
    /// delivered bytes. Only if the session ended may some be outstanding.
    case closed(StreamID)
    /// The peer has answered a PING.
    case answered
    /// The carrier of a lane is dead or delivers nothing: abandon it, and call ``Session/detach(_:now:)``. The error has the
    /// reason.
    case silent(LaneID, MuxError)
    /// A lane is gone. Close its carrier if it has one; other lanes have its frames.
    case retired(LaneID)
    /// Client: attach a new carrier within `within` seconds. The old carrier stays in use until then.
    case renew(within: UInt32)
    /// The peer accepts nothing new, and ends the session once its streams have ended.
    case goingAway(Refusal)
}
