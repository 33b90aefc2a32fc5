/// The type of a session frame (protocol page, section 2). An unknown type ends the session; new types need a new
/// protocol version.
public enum FrameType: UInt8, Sendable, CaseIterable {
    /// The server's first frame on every carrier: versions and nonce.
    case challenge = 0x01
    /// The client asks for a new session and proves that it knows the token.
    case authenticate = 0x02
    /// The server grants the session and proves that it knows the verifier.
    case welcome = 0x03
    /// The client brings a new carrier for an existing session.
    case resume = 0x04
    /// The server accepts the carrier and reports what it has received.
    case resumed = 0x05
    /// The server refuses the client's request during the handshake.
    case refused = 0x06
    /// The client asks for a public port.
    case bind = 0x10
    /// The server has bound the port at this address.
    case bound = 0x11
    /// The server could not bind the port or gave it up, with the reason.
    case unbound = 0x12
    /// The client gives a public port back.
    case unbind = 0x13
    /// The client says whether the service of a tunnel answers.
    case state = 0x14
    /// The client has left a lane, and reports the number of counted frames that it has received there.
    case retire = 0x15
    /// The server's answer to RETIRE, with its own number.
    case retired = 0x16
    /// The server has lost the carrier of a lane.
    case lost = 0x17
    /// A stream begins: for a visitor, or to a destination that the client names.
    case open = 0x20
    /// The service or the destination was reached.
    case accept = 0x21
    /// Bytes of a stream.
    case data = 0x22
    /// End of one direction (FIN).
    case end = 0x23
    /// End of both directions (RST).
    case reset = 0x24
    /// The absolute offset up to which the other end may send on a stream.
    case credit = 0x25
    /// One datagram of a flow. It is never sent again.
    case datagram = 0x26
    /// A request that only a live peer answers.
    case ping = 0x30
    /// The answer to a PING.
    case pong = 0x31
    /// The number of counted frames received.
    case ack = 0x32
    /// The session ends now or soon, with the reason.
    case goAway = 0x33
    /// The server asks for a new carrier because this one will not last.
    case renew = 0x34

    /// Whether the frame belongs to a carrier's handshake rather than to the session.
    public var isOpening: Bool {
        switch self {
        case .challenge, .authenticate, .welcome, .resume, .resumed, .refused: true
        case .bind, .bound, .unbound, .unbind, .state, .retire, .retired, .lost, .open, .accept, .data, .end, .reset,
            .credit, .datagram, .ping, .pong, .ack, .goAway, .renew:
            false
        }
    }

    /// Whether the frame is counted, kept until acknowledged and sent again on a new carrier (section 6).
    public var isCounted: Bool {
        switch self {
        case .bind, .bound, .unbound, .unbind, .state, .open, .accept, .data, .end, .reset, .credit, .goAway: true
        case .challenge, .authenticate, .welcome, .resume, .resumed, .refused, .retire, .retired, .lost, .datagram,
            .ping, .pong, .ack, .renew:
            false
        }
    }

    /// Whether the frame names a stream; all others carry stream 0.
    public var isOfStream: Bool {
        switch self {
        case .open, .accept, .data, .end, .reset, .credit, .datagram: true
        case .challenge, .authenticate, .welcome, .resume, .resumed, .refused, .bind, .bound, .unbound, .unbind, .state,
            .retire, .retired, .lost, .ping, .pong, .ack, .goAway, .renew:
            false
        }
    }

    /// The longest payload, bytes.
    var longestPayload: Int {
        switch self {
        case .data: MuxLimits.maximumData
        case .datagram: MuxLimits.maximumDatagram
        default: MuxLimits.maximumControl
        }
    }

    /// The exact size of the payload, bytes; nil if it varies.
    var fixedPayloadLength: Int? {
        switch self {
        case .end, .credit, .ping, .pong, .ack: 8
        case .challenge, .authenticate, .welcome, .resume, .resumed, .refused, .bind, .bound, .unbound, .unbind, .state,
            .retire, .retired, .lost, .open, .accept, .data, .reset, .datagram, .goAway, .renew:
            nil
        }
    }
}
