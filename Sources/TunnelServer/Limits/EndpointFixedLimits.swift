import Mux
import TunnelCore
import WebSocket

/// Fixed limits of a server's endpoint, its public ports and its backend.
extension FixedLimit {
    package static let strangers: [FixedLimit] = [
        FixedLimit(
            "Frame before the proof",
            .bytes(MuxLimits.maximumControl),
            "the handshake carries nonces, names and proofs, and no content",
            isWire: true
        ),
        FixedLimit(
            "Share of `strangers` for clients with a ticket",
            .part(UnauthenticatedSlots.knownPart),
            "known clients are served while strangers use up their slots"
        ),
        FixedLimit(
            "Share of `connections_per_second` for one address",
            .part(Admission.ratePart),
            "no single address keeps the others out"
        ),
        FixedLimit(
            "Share of `connections_per_second` for clients with a ticket",
            .part(Admission.ratePart),
            "known clients return while strangers use up the rate"
        ),
        FixedLimit(
            "Connections accepted for each request of `connections_per_second`",
            .count(Admission.arrivalsForEach),
            "a TLS handshake costs a millisecond of processor time"
        ),
        FixedLimit(
            "Silence before a stranger is evicted, half of the slots in use",
            .time(UnauthenticatedSlots.silenceTimeout),
            "a client sends its request at once"
        ),
        FixedLimit(
            "Silence before a stranger is evicted, all slots in use",
            .time(UnauthenticatedSlots.fullSilenceTimeout),
            "a request arrives within that time even on a slow path"
        ),
        FixedLimit(
            "Time over which wrong proofs are counted",
            .time(Admission.proofPeriod),
            "a guesser is slowed down, and a corrected client soon has no penalty"
        ),
        FixedLimit(
            "Time to read the answer to a refused connection",
            .time(BusyHandler.timeout),
            "the answer is short, and the socket is needed"
        ),
        FixedLimit(
            "PROXY header of version 1",
            .bytes(ProxyProtocolParser.longestLine),
            "the specification allows no longer line"
        ),
        FixedLimit(
            "PROXY header of version 2, after its fixed part",
            .bytes(ProxyProtocolParser.longestRest),
            "addresses and a front's extensions fit"
        ),
        FixedLimit(
            "Extensions read from an upgrade",
            .count(WebSocketLimits.extensions),
            "a client offers one or two"
        ),
        FixedLimit(
            "Parameters read of one extension",
            .count(WebSocketLimits.extensionParameters),
            "the one extension in use, permessage-deflate, has four"
        ),
        FixedLimit(
            "Validity of a ticket",
            .time(.seconds(TicketIssuer.lifetime)),
            "each WebSocket brings a new one"
        ),
        FixedLimit(
            "Path of a Unix socket of `listen` or `admin`",
            .bytes(ListenAddress.longestPath),
            "the kernel accepts little more"
        ),
    ]

    package static let visitors: [FixedLimit] = [
        FixedLimit(
            "List of addresses in a tunnel's request",
            .bytes(RequestedVisitorLimits.maximumList),
            "some dozen blocks fit, and the server keeps the list of each tunnel",
            isWire: true
        ),
        FixedLimit(
            "Burst of `visitors_per_second`",
            .time(.seconds(TCPIngress.burst)),
            "a burst of visitors is common, and a longer one uses up the client's processor"
        ),
        FixedLimit(
            "Burst of a bandwidth",
            .time(.seconds(RateLimit.burst)),
            "a rate must be even, and a timer for each frame would cost processor time"
        ),
        FixedLimit(
            "Smallest burst of a bandwidth",
            .bytes(Int(RateLimit.smallestBurst)),
            "a full frame must pass at once"
        ),
        FixedLimit(
            "Descriptors before the limit at which a port accepts one visitor at a time",
            .count(TCPIngress.scarceDescriptors),
            "an event loop accepts half as many in one iteration"
        ),
        FixedLimit(
            "Ports tried for a request of port 0",
            .count(PublicPorts.tries),
            "other programs may have bound ports of the range"
        ),
        FixedLimit(
            "Time to answer for the session that holds a port",
            .time(PublicPorts.takeOverTimeout),
            "a client that reconnects waits for its port meanwhile"
        ),
    ]

    package static let backend: [FixedLimit] = [
        FixedLimit(
            "Share of `backend_connections` for one address",
            .part(ConnectionSlots.addressPart),
            "no single address keeps the others out"
        ),
        FixedLimit(
            "Time to connect to the backend",
            .time(Backend.connectTimeout),
            "the backend is near, and may be starting"
        ),
        FixedLimit(
            "Time for the last bytes after the other side is gone",
            .time(BackendRelaySide.lingering),
            "an answer must be sent, and a socket that takes nothing must not stay open"
        ),
    ]

    package static let kicks: [FixedLimit] = [
        FixedLimit(
            "Time before a kicked client may return",
            .time(.seconds(Int(ServerAdmin.kickedFor))),
            "the operator can disable the client meanwhile"
        ),
        FixedLimit(
            "Clients that are gone in the status",
            .count(GoneClients.limit),
            "the latest matter, and names without end would cost memory for ever"
        ),
        FixedLimit(
            "Names of clients in metrics, with `metrics_by_client`",
            .count(ClientSeries.limit),
            "further clients share the name `other`, below the limit of series of one metric"
        ),
        FixedLimit(
            "Ended streams of each tunnel in the status",
            .count(EndedStreams.limit),
            "the latest show what is wrong"
        ),
    ]

    package static let lookups: [FixedLimit] = [
        FixedLimit(
            "Names of destinations that are looked up at a time for one client",
            .count(NameLimits().threadsPerClient),
            "a name without an answer takes a thread for a minute, and all clients share twelve threads"
        )
    ]
}
