import Mux
import NIOCore

/// One event for ``SessionLoop/run(_:)``.
package enum SessionInput {
    // MARK: From the carrier

    /// The peer's next frame.
    case frame(InboundFrame, LaneID)
    /// A carrier has no more bytes for now.
    case carrierReadCompleted
    /// A carrier takes frames again.
    case carrierWritable
    /// A carrier's bytes break the rules of frames.
    case violation(MuxError)
    /// The carrier of a lane is gone.
    case carrierLost(CarrierLoss, LaneID)
    /// The carrier of a lane is dead, or delivers nothing while another one does.
    case silence(MuxError, LaneID)

    // MARK: From the streams' sockets

    /// A socket has brought bytes.
    ///
    /// `isReading`: they come from a read of the socket's channel, so that ``readCompleted`` follows at once. NIO fires
    /// `channelReadComplete` after each `channelRead` of an active channel; an inactive one leads to ``finished(_:)`` or
    /// ``reset(_:_:)`` instead.
    case bytes(StreamID, ByteBuffer, isReading: Bool)
    /// The socket of a flow has brought a datagram.
    case datagram(StreamID, ByteBuffer)
    /// A socket has no more bytes for now.
    case readCompleted
    /// A socket has sent FIN.
    case finished(StreamID)
    /// A socket is gone. The bytes that it brought before still go to the peer.
    case reset(StreamID, ResetCode)
    /// A socket has taken bytes: credit may go back.
    case taken(StreamID, Int)

    // MARK: From the role

    /// The service or the destination of the peer's stream is connected.
    case accept(StreamID)
    /// Client: asks for a public port.
    case bind(BindRequest)
    /// Client: gives the port of a tunnel back.
    case unbind(UInt16)
    /// Client: says whether the service of a tunnel answers.
    case state(TunnelState)
    /// Server: a port is public.
    case bound(Binding)
    /// Server: a port is refused or given up.
    case unbound(UInt16, Refusal)
    /// Accepts nothing new; what runs may end.
    case drain(Refusal)
    /// Server: asks the client for another carrier within so many seconds.
    case askForRenewal(within: UInt32)
    /// Asks the peer for a sign of life; without an answer within the timeout the carrier is lost.
    case probe(timeout: Duration?)
    /// Changes the time between two PINGs.
    case pingInterval(Duration)
    /// Send no PING for so long, also if one is due earlier.
    case quiet(Duration)
    /// Ends the session: streams are reset, then GOAWAY and Close.
    case end(Refusal)
    /// Client: the server no longer knows the session.
    case forget

    // MARK: The next carrier

    /// A lane goes on with this carrier, whose peer has received so many counted frames of the lane. `first` goes before
    /// all others. A previous carrier that still lives is closed.
    case attach(any CarrierLink, lane: LaneID, epoch: UInt64, peerReceived: UInt64, first: CarrierOpening?)
    /// Client: no new carrier comes for now; frames that were deferred for it are taken.
    case takeDeferred(LaneID)
    /// Client: a further lane that was requested has got no carrier.
    case abandonLane(LaneID)
    /// Client: leaves a lane. Others take its frames.
    case retireLane(LaneID)

    // MARK: From the event loop and the process

    /// The iteration of the event loop ends, and something is to be sent.
    case iterationEnded
    /// A deadline of the session has passed.
    case timer
    /// The process is out of memory, and this session holds the most of it: it gives so many bytes back.
    case shed(Int)
}
