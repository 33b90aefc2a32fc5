/// The kinds of session frames (protocol page, section 2). An unknown one ends the session: growth goes through the
/// version, never through silent skipping.
public enum FrameType: UInt8, Sendable, CaseIterable {
    /// Server's first frame on every carrier: versions, features, nonce.
    case challenge = 0x01
    /// Client asks for a new session and proves that it knows the token.
    case authenticate = 0x02
    /// Server grants the session and proves that it knows the verifier.
    case welcome = 0x03
    /// Client brings a new carrier to a session that lives.
    case resume = 0x04
    /// Server takes the carrier and says what it has received.
    case resumed = 0x05
    /// Server refuses what the client asked for in the opening.
    case refused = 0x06
    /// Client asks for a public port.
    case bind = 0x10
    /// Server has bound it, and says where.
    case bound = 0x11
    /// Server could not bind it or gives it up, and says why.
    case unbound = 0x12
    /// A visitor has come: a stream begins.
    case open = 0x20
    /// The service has been reached.
    case accept = 0x21
    /// Bytes of a stream.
    case data = 0x22
    /// No more bytes in this direction (FIN).
    case end = 0x23
    /// The stream is dead in both directions (RST).
    case reset = 0x24
    /// How far the other end may send on a stream, as an absolute offset.
    case credit = 0x25
    /// A question that only a living peer answers.
    case ping = 0x30
    /// Its answer.
    case pong = 0x31
    /// How many counted frames have been received.
    case ack = 0x32
    /// The session ends soon or now, and why.
    case goAway = 0x33
    /// Server asks for a new carrier, because this one will not last.
    case renew = 0x34

    /// Whether the frame belongs to the opening of a carrier rather than to the session.
    public var isOpening: Bool {
        switch self {
        case .challenge, .authenticate, .welcome, .resume, .resumed, .refused: true
        case .bind, .bound, .unbound, .open, .accept, .data, .end, .reset, .credit, .ping, .pong, .ack, .goAway,
            .renew:
            false
        }
    }

    /// Whether the frame is counted, kept until acknowledged and sent again on a new carrier (section 6).
    public var isCounted: Bool {
        switch self {
        case .bind, .bound, .unbound, .open, .accept, .data, .end, .reset, .credit, .goAway: true
        case .challenge, .authenticate, .welcome, .resume, .resumed, .refused, .ping, .pong, .ack, .renew: false
        }
    }

    /// Whether the frame names a stream; all others carry stream 0.
    public var isOfStream: Bool {
        switch self {
        case .open, .accept, .data, .end, .reset, .credit: true
        case .challenge, .authenticate, .welcome, .resume, .resumed, .refused, .bind, .bound, .unbound, .ping, .pong,
            .ack, .goAway, .renew:
            false
        }
    }

    /// The exact size of the payload in bytes, where it is fixed.
    var fixedPayloadLength: Int? {
        switch self {
        case .credit, .ping, .pong, .ack: 8
        case .end: 0
        case .challenge, .authenticate, .welcome, .resume, .resumed, .refused, .bind, .bound, .unbound, .open,
            .accept, .data, .reset, .goAway, .renew:
            nil
        }
    }
}
