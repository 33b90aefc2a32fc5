/// The bounds of a session: each with its default and its reason. Zero never means "without".
public struct MuxLimits: Sendable, Hashable {
    /// Payload of one DATA frame, bytes. 64 KiB: large enough that headers vanish, small enough to wait for.
    public static let maximumData = 65_536
    /// Payload of any other frame, bytes. 4 KiB: a control frame carries names and numbers, never content.
    public static let maximumControl = 4_096
    /// The frame's own header, bytes.
    public static let headerLength = 8
    /// Payload of one DATA frame while more than one stream is ready, or while a path is not known to be fast, bytes: a
    /// keystroke waits for the end of at most one.
    public static let sharedData = 16_384

    /// What a stream costs beside its bytes, for the sum of what a session holds: its place here, its channel and its
    /// socket's bookkeeping. Measured: 6 to 7 KiB, and 8 KiB are charged.
    public static let streamCost = 8_192
    /// What a frame costs beside its bytes while it waits or is kept, for the same sum: buffers are objects.
    public static let frameCost = 128

    /// The server's wishes for a new carrier within ten seconds. Ten: each makes the client dial.
    static let renewalsInTenSeconds = 10

    /// Streams that live at a time. 10,000: what one address's ephemeral ports and a process's descriptors carry.
    public var streams = 10_000
    /// Streams that were opened and not yet accepted. 256: the bound that other multiplexers added after years.
    public var opening = 256
    /// How long the peer may take to accept a stream. 15 s: a client gives its service 10 s, and says so itself.
    public var openTimeout: Duration = .seconds(15)
    /// How long RESET waits behind its stream's bytes for a peer that does not take them, and how long a socket may take for
    /// the bytes before a reset. 5 s: a path that works has carried 64 KiB by then.
    public var resetPatience: Duration = .seconds(5)
    /// What may be sent on a new stream before the first CREDIT, bytes. 64 KiB: a thousand streams whose readers never
    /// begin fit into the session's budget. Of those that have taken more than a MB/s before they stand still, a hundred
    /// and some: their windows have grown.
    public var initialWindow = 65_536
    /// The widest that a stream's window grows, bytes. 4 MiB: 320 Mbit/s at 100 ms.
    public var maximumWindow = 4_194_304
    /// Received bytes of all streams that no socket has taken yet. 64 MiB: past half of it windows shrink to the
    /// initial one; past it the stream that holds the most is reset.
    public var bufferedBytes = 67_108_864
    /// Bytes sent and not yet acknowledged, kept for a new carrier. 4 MiB; a full buffer stops sending.
    public var replayBytes = 4_194_304
    /// Bytes that one stream may have waiting for the carrier before its socket is no longer read; any at all once half
    /// of `queuedBytes` is in use.
    public var queuedPerStream = 65_536
    /// Bytes of all streams together that wait for the carrier. 64 MiB: a socket that ends is read to its end, however
    /// much its kernel buffer holds; past the bound the stream that brings more is reset.
    public var queuedBytes = 67_108_864
    /// Control frames that wait for the carrier. 25,000: two for each stream that may live, and some; a peer that
    /// makes us answer and does not read is cut off there. From half of it on we open no stream ourselves.
    public var waitingControl = 25_000
    /// Bytes received before an ACK is due at once.
    public var ackBytes = 65_536
    /// How long an ACK may wait for more to acknowledge.
    public var ackDelay: Duration = .milliseconds(20)
    /// Time between two PINGs. 20 s, because middleboxes cut after 60 and some after 30.
    public var pingInterval: Duration = .seconds(20)
    /// Share of `pingInterval` by which each wait is moved at random, so that clients do not fall into step.
    public var pingJitter = 0.2
    /// How long frames may go unacknowledged before the peer is asked for a sign of life. 2 s: it acknowledges within
    /// 20 ms, so that either the path is very slow or it is dead, which is then known ten seconds later.
    public var ackPatience: Duration = .seconds(2)
    /// How long the answer to a PING may take while the peer acknowledges nothing else.
    public var pingTimeout: Duration = .seconds(10)
    /// How long a session waits for a new carrier before it ends and its streams are reset. 120 s: long enough for a
    /// proxy that restarts or a laptop that changes networks, short enough for a visitor's patience.
    public var grace: Duration = .seconds(120)
    /// The least that ``pingsInTenSeconds`` may be. 15: a peer that pings every second, moved by a fifth, sends 13.
    public static let leastPings = 15
    /// The peer's PINGs within ten seconds. 20: ours sends one in twenty seconds, and some more when it probes.
    public var pingsInTenSeconds = 20
    /// Odd but legal events (empty DATA, useless CREDIT, ACK or PONG, a second END, an OPEN beyond the limits)
    /// within ten seconds. Frames on closed streams are none: they cross with our END or RESET, and cost nothing.
    public var glitchesInTenSeconds = 200
    /// Public ports that a client may ask for in one session. 256: ranges of a hundred ports fit, and each port costs two
    /// listening sockets and some KiB at the server.
    public var tunnels = 256
    /// The client's BINDs within ten seconds. 1,280, five for each tunnel: each costs system calls, and tunnels whose
    /// ports are taken ask again after 1, 2 and 4 seconds.
    public var bindsInTenSeconds = 1_280

    /// The defaults.
    public init() {}
}
