import Mux
import TunnelCore
import WebSocket

/// Fixed bounds of a server's endpoint, its public ports and its backend.
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
            "known clients get in while strangers fill their places"
        ),
        FixedLimit(
            "Share of `connections_per_second` for one address",
            .part(Admission.ratePart),
            "no single address keeps the others out"
        ),
        FixedLimit(
            "Share of `connections_per_second` for clients with a ticket",
            .part(Admission.ratePart),
            "known clients come back while strangers use up the rate"
        ),
        FixedLimit(
            "Connections accepted for each request of `connections_per_second`",
            .count(Admission.arrivalsForEach),
            "a TLS handshake costs a millisecond of the processor"
        ),
        FixedLimit(
            "Silence before a stranger gives way, half of the places taken",
            .time(UnauthenticatedSlots.patience),
            "a client sends its request at once"
        ),
        FixedLimit(
            "Silence before a stranger gives way, all places taken",
            .time(UnauthenticatedSlots.leastPatience),
            "a slow path still brings a request in that time"
        ),
        FixedLimit(
            "Time over which wrong proofs are counted",
            .time(Admission.proofPeriod),
            "a guesser is slowed, and a mended client starts afresh soon"
        ),
        FixedLimit(
            "Time to read an answer to a refused connection",
            .time(BusyHandler.patience),
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
            "Life of a ticket",
            .time(.seconds(TicketIssuer.lifetime)),
            "each WebSocket brings a new one"
        ),
        FixedLimit(
            "Path of a unix socket",
            .bytes(ListenAddress.longestPath),
            "the kernel takes little more"
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
            "Part of a second whose `visitors_per_second` may come at once",
            .time(.seconds(TCPIngress.burst)),
            "a burst of visitors is common, and a longer one costs the client its processor"
        ),
        FixedLimit(
            "Part of a second whose bandwidth may pass at once",
            .time(.seconds(RateLimit.burst)),
            "a rate must be even, and a timer for each piece would cost the processor"
        ),
        FixedLimit(
            "Least burst of a bandwidth",
            .bytes(Int(RateLimit.smallestBurst)),
            "a full frame must pass"
        ),
        FixedLimit(
            "Descriptors before the limit at which a port accepts one visitor at a time",
            .count(TCPIngress.scarceDescriptors),
            "an event loop takes half of it in one iteration"
        ),
        FixedLimit(
            "Ports tried if any will do",
            .count(PublicPorts.tries),
            "other programs may hold ports of the range"
        ),
        FixedLimit(
            "Time to prove that the session which holds a port lives",
            .time(PublicPorts.takeOverTimeout),
            "a client that reconnects waits for its port meanwhile"
        ),
    ]

    package static let backend: [FixedLimit] = [
        FixedLimit(
            "Share of `backend_connections` for one address",
            .part(BackendSlots.addressPart),
            "no single address keeps the others out"
        ),
        FixedLimit(
            "Time to connect to the backend",
            .time(Backend.connectTimeout),
            "the backend is near, and may be starting"
        ),
        FixedLimit(
            "Time for the last bytes if the other side is gone",
            .time(BackendRelaySide.lingering),
            "an answer must leave, and a socket that takes nothing must not stay"
        ),
    ]

    package static let kicks: [FixedLimit] = [
        FixedLimit(
            "Time before a kicked client may come back",
            .time(.seconds(Int(ServerAdmin.kickedFor))),
            "an operator can disable the client in it"
        )
    ]
}
