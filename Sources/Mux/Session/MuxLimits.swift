/// The limits of a session, each with its default and reason. Zero never means "unlimited".
public struct MuxLimits: Sendable, Hashable {
    /// Payload of one DATA frame, bytes. At 65,280 the cost of headers is negligible and the wait for one frame is short.
    ///
    /// It is 64 KiB less 256 bytes. With its head and its seal the frame fits into a message of Noise, which has at most
    /// 65,535 bytes. With the heads of WebSocket and some control frames it fits into a buffer of 64 KiB.
    public static let maximumData = 65_280
    /// Payload of one DATAGRAM, bytes: the longest that UDP over IPv4 carries.
    public static let maximumDatagram = 65_507
    /// Bytes of datagrams of all flows that wait for the carrier, bytes. 8 MiB: some dozen full flows.
    public static let waitingDatagrams = 8_388_608
    /// Bytes of datagrams that are sent before another frame has its turn. 16 KiB: one shared frame of a bulk stream.
    static let datagramsInARow = 16_384
    /// Payload of any other frame, bytes. 4 KiB: a control frame carries names and numbers, never content.
    public static let maximumControl = 4_096
    /// The header of a frame, bytes.
    public static let headerLength = 8
    /// The longest frame, bytes: a DATAGRAM, which is longer than DATA with an offset.
    public static let longestFrame = headerLength + max(FrameHeader.offsetLength + maximumData, maximumDatagram)
    /// Payload of one DATA frame while several streams are ready or the path is not known to be fast, bytes. An
    /// interactive stream waits for at most one such frame.
    public static let sharedData = 16_384

    /// Memory that a stream costs besides its bytes, for the session's memory budget: table entry, channel and socket
    /// state. Measured at 6 to 7 KiB; charged as 8 KiB.
    public static let streamCost = 8_192
    /// Memory that a frame costs besides its bytes while it is queued or kept: the buffer's own objects.
    public static let frameCost = 128

    /// RENEW frames from the server within ten seconds. Each one makes the client dial.
    static let renewalsInTenSeconds = 10

    /// Concurrent streams. 10,000 fit into one address's ephemeral ports and a process's descriptors.
    public var streams = 10_000
    /// Streams opened and not yet accepted. 256 is the bound that other multiplexers adopted after attacks.
    public var opening = 256
    /// Time for the peer to accept a stream. A client gives its service 10 s and reports the failure itself, so 15 s
    /// suffice.
    public var openTimeout: Duration = .seconds(15)
    /// Time that RESET waits behind its stream's bytes, and that a socket has to accept the bytes before a reset. A
    /// working path carries 64 KiB within 5 s.
    public var resetPatience: Duration = .seconds(5)
    /// Bytes that may be sent on a new stream before the first CREDIT.
    ///
    /// With 64 KiB, a thousand streams whose readers never start fit into the session's budget. Windows grow above 1
    /// MB/s, so only about a hundred streams fit if they stall after that.
    public var initialWindow = 65_536
    /// Largest window of a stream, bytes. 4 MiB carry 320 Mbit/s at a round trip of 100 ms.
    public var maximumWindow = 4_194_304
    /// Received bytes of all streams that no socket has accepted. Beyond half of it windows shrink to the initial one;
    /// beyond all of it the stream that holds the most is reset.
    public var bufferedBytes = 67_108_864
    /// Bytes sent and not yet acknowledged on all lanes, kept for a new carrier. Sending stops while the buffer is full.
    public var replayBytes = 4_194_304
    /// Bytes of one stream that may wait for the carrier before its socket is paused. Once half of `queuedBytes` is in
    /// use, one byte suffices.
    public var queuedPerStream = 65_536
    /// Bytes of all streams that wait for the carrier. A socket that ends is read to its end, whatever its kernel
    /// buffer holds. Beyond the limit, the stream that delivers more is reset.
    public var queuedBytes = 67_108_864
    /// Control frames that wait for the carrier. 25,000 allow two for each stream, and some more. A peer that provokes
    /// answers and does not read is cut off there. From half of the limit on, this end opens no stream.
    public var waitingControl = 25_000
    /// Received bytes after which an ACK is due at once: one of the longest DATA frames.
    public var ackBytes = maximumData
    /// Time that an ACK may wait for more frames to acknowledge.
    public var ackDelay: Duration = .milliseconds(20)
    /// Time between two PINGs. Middleboxes cut idle connections after 60 s, some after 30 s.
    public var pingInterval: Duration = .seconds(20)
    /// Fraction of `pingInterval` by which each wait varies at random, so that clients do not synchronise.
    public var pingJitter = 0.2
    /// Time that frames may stay unacknowledged before a PING is sent. The peer acknowledges within 20 ms, so after 2 s
    /// the path is very slow or dead. The PING decides within ten seconds.
    public var ackPatience: Duration = .seconds(2)
    /// Time for the answer to a PING while the peer acknowledges nothing else.
    public var pingTimeout: Duration = .seconds(10)
    /// Time that a session waits for a new carrier before it ends and resets its streams. 120 s cover a proxy's restart
    /// or a laptop's change of network, and visitors still wait that long.
    public var grace: Duration = .seconds(120)
    /// Lowest permitted ``pingsInTenSeconds``. A peer that pings every second, varied by a fifth, sends 13.
    public static let leastPings = 15
    /// The peer's PINGs within ten seconds. This end sends one in 20 s, and a few more when it probes.
    public var pingsInTenSeconds = 20
    /// Tolerated anomalies within ten seconds: empty DATA, useless CREDIT, ACK or PONG, a second END, an OPEN beyond
    /// the limits. Frames on closed streams do not count: they cross with END or RESET, and cost nothing.
    public var glitchesInTenSeconds = 200
    /// Public ports that a client may ask for in one session. 256 allow ranges of a hundred ports. Each port costs the
    /// server two listening sockets and some KiB.
    public var tunnels = 256
    /// The client's BINDs within ten seconds: five for each tunnel. Each BIND costs system calls. The client retries a
    /// taken port after 1, 2 and 4 seconds.
    public var bindsInTenSeconds = 1_280

    /// Creates the defaults.
    public init() {}
}
