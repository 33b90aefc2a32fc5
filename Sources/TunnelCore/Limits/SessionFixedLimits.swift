import Mux
import Seal
import WebSocket

/// Fixed bounds of sessions and of the WebSockets that carry them.
extension FixedLimit {
    package static let sessions: [FixedLimit] = [
        FixedLimit(
            "Share of `streams` and `unaccepted_streams` that the tunnels keep in reserve",
            .part(MuxLimits.reservePart),
            "visitors of one tunnel must not shut another one"
        ),
        FixedLimit(
            "RENEW frames in ten seconds",
            .count(MuxLimits.renewals),
            "each makes the client dial"
        ),
        FixedLimit(
            "Time between two pings on one WebSocket",
            .time(MuxLimits.pingSpacing),
            "no number of probes exceeds the peer's `pings_in_ten_seconds`"
        ),
        FixedLimit(
            "Share of `ping_interval` by which a wait varies",
            .part(Int((1 / MuxLimits().pingJitter).rounded())),
            "clients of one server must not fall into step"
        ),
        FixedLimit(
            "Delay of an ACK",
            .time(MuxLimits().ackDelay),
            "one ACK covers the frames of some milliseconds"
        ),
        FixedLimit(
            "Time for the last bytes of a stream after its session",
            .time(StreamPipe.detachedTimeout),
            "a slow socket keeps the end of its stream, and must not stay for ever"
        ),
        FixedLimit(
            "Characters of a token, at least",
            .count(Token.minimumLength),
            "a random token of that length cannot be guessed"
        ),
        FixedLimit(
            "Characters of a token, at most",
            .count(Token.maximumLength),
            "it is more than any generator makes"
        ),
        FixedLimit(
            "Rounds of a token's key derivation",
            .count(MuxLimits.tokenRounds),
            "SCRAM asks for at least as many, and tokens are random",
            isWire: true
        ),
        FixedLimit(
            "Ticket",
            .bytes(Welcome.longestTicket),
            "a server's ticket has some half of it",
            isWire: true
        ),
    ]

    package static let sessionBytes: [FixedLimit] = [
        FixedLimit(
            "Payload of a DATA frame",
            .bytes(MuxLimits.maximumData),
            "its header is then no cost, other streams wait little for its end, and it fits into a message of Noise",
            isWire: true
        ),
        FixedLimit(
            "Messages of one key of a sealed carrier",
            .count(Int(clamping: Sealer.messagesOfKey)),
            "far below what AES-GCM allows, and stolen memory opens no more than that",
            isWire: true
        ),
        FixedLimit(
            "Altered carriers in a minute before a warning",
            .count(AlterationWatch.threshold),
            "one may be a broken machine; more are a fault or an attack"
        ),
        FixedLimit(
            "Payload of any other frame",
            .bytes(MuxLimits.maximumControl),
            "a control frame carries names and numbers, and no content",
            isWire: true
        ),
        FixedLimit(
            "Reach of a CREDIT beyond the bytes sent",
            .bytes(MuxLimits.furthestCredit),
            "a greater number is a mistake or an attack",
            isWire: true
        ),
        FixedLimit(
            "Least window of a stream past its first 4 KiB, from 5 ms of round trip on, while half of received_bytes holds those of all",
            .bytes(MuxLimits.farWindow),
            "TCP sends as much in its first round trips, and with less the stream waits for credit"
        ),
        FixedLimit(
            "DATA frame while several streams are ready",
            .bytes(MuxLimits.sharedData),
            "an interactive stream waits for the end of one frame, unless the path is fast"
        ),
        FixedLimit(
            "Quantum of one stream while others wait",
            .bytes(MuxLimits.quantum),
            "the other end then writes it to a socket in one piece"
        ),
        FixedLimit(
            "Bytes up to which a stream counts as interactive",
            .bytes(MuxLimits.interactive.bytes),
            "a request or a keystroke is no longer"
        ),
        FixedLimit(
            "Interactive frames in a row",
            .count(MuxLimits.interactive.frames),
            "bulk streams must get on too"
        ),
        FixedLimit(
            "Bytes beyond the window for interactive streams",
            .bytes(MuxLimits.interactive.reserve),
            "they need not wait for the acknowledgement of bulk bytes"
        ),
        FixedLimit(
            "Bytes in flight before the path is known",
            .bytes(MuxLimits.bytesInFlight.first),
            "the kernel takes as much at once"
        ),
        FixedLimit(
            "Least bytes in flight beside interactive streams",
            .bytes(MuxLimits.bytesInFlight.least),
            "something must be there to acknowledge"
        ),
        FixedLimit(
            "Least bytes in flight of bulk alone",
            .bytes(MuxLimits.bytesInFlight.leastAlone),
            "less would limit a TCP connection that grows again after a loss"
        ),
        FixedLimit(
            "Received bytes before an ACK is due at once",
            .bytes(MuxLimits().ackBytes),
            "the sender's replay buffer must get room in time"
        ),
        FixedLimit(
            "Buffers of one received payload",
            .count(MuxLimits.payloadPieces),
            "a peer that sends single bytes must not make us keep a buffer for each"
        ),
    ]

    package static let carriers: [FixedLimit] = [
        FixedLimit(
            "Time for the closing handshake",
            .time(Carrier.closeTimeout),
            "the peer answers at once, and the socket must not stay"
        ),
        FixedLimit(
            "WebSocket control frames that wait",
            .bytes(Carrier.queuedControlBytes),
            "a peer that sends pings and reads no pong is cut off"
        ),
        FixedLimit(
            "Frames that wait while a successor is made",
            .bytes(DeferredFrames.most),
            "beyond it the WebSocket is given up, and its successor brings them again"
        ),
        FixedLimit(
            "Unsent bytes at which a WebSocket takes no more",
            .bytes(SocketOptions.unsentBytes.most),
            "little may lie below the scheduler"
        ),
        FixedLimit(
            "Unsent bytes at which a WebSocket takes more again",
            .bytes(SocketOptions.unsentBytes.least),
            "the socket must have something to send"
        ),
        FixedLimit(
            "Unsent bytes of a WebSocket whose session has UDP flows, above the kernel, and again in it",
            .bytes(UnsentLimit.least),
            "a datagram that waits there grows old and is not dropped"
        ),
        FixedLimit(
            "The same of a WebSocket whose path is not known yet",
            .bytes(UnsentLimit.first),
            "a slow path takes long for more, and a request waits behind it"
        ),
        FixedLimit(
            "Unsent bytes in the kernel for bulk alone on a long path",
            .bytes(UnsentLimit.most.bulk),
            "a kernel with megabytes in flight reports room late"
        ),
        FixedLimit(
            "Bytes on the way to a WebSocket on another event loop",
            .bytes(CarrierBridge.mostUnderWay),
            "a WebSocket lets as much pile up"
        ),
        FixedLimit(
            "Bytes on the way from a WebSocket on another event loop",
            .bytes(CarrierBridge.mostOnTheWay),
            "a loop that is behind must not make the peer's bytes pile up"
        ),
        FixedLimit(
            "Bytes inflated at a time",
            .bytes(Connection.inflatedChunk),
            "a small message can inflate to a thousand times its length"
        ),
        FixedLimit(
            "Largest read of a socket",
            .bytes(SocketOptions.largestRead),
            "the speed of a bulk transfer depends on the size of its reads"
        ),
        FixedLimit(
            "Longest wait between two looks at a socket's send queue before a reset",
            .time(SocketReset.waits.longest),
            "a reset discards what the kernel has not sent"
        ),
        FixedLimit(
            "Time that an event loop polls before it sleeps",
            .time(BusyPollPolicy.span),
            "a peer in the same room answers in it, and only with `busy_polling`"
        ),
        FixedLimit(
            "Longest pause of that polling",
            .time(BusyPollPolicy.longestBackOff),
            "other programs want the processor"
        ),
    ]

    package static let memory: [FixedLimit] = [
        FixedLimit(
            "Charge for a stream",
            .bytes(MuxLimits.streamCost),
            "its place, its channel and its socket cost almost as much"
        ),
        FixedLimit(
            "Charge for a frame that waits or is kept",
            .bytes(MuxLimits.frameCost),
            "a buffer costs more than its bytes"
        ),
        FixedLimit(
            "Charge for a tunnel",
            .bytes(MemoryBudget.tunnelCost),
            "its sockets and counters cost as much"
        ),
        FixedLimit(
            "Charge for a session",
            .bytes(MemoryBudget.sessionCost),
            "its WebSocket and TLS cost as much"
        ),
        FixedLimit(
            "Charge for a WebSocket that takes nothing",
            .bytes(MemoryBudget.blockedCarrierCost),
            "it keeps what was handed to it beyond the session's own copies"
        ),
        FixedLimit(
            "Pause of accepting without a free descriptor",
            .time(AcceptGate.withoutDescriptors),
            "a descriptor is free soon, and an event loop must not spin"
        ),
    ]
}
