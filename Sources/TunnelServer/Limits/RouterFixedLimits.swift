import ClientHello
import HTTP1
import HTTPRelay
import Mux
import NIOCore
import TunnelCore

/// Fixed limits of host names and their visitors.
extension FixedLimit {
    package static let requests: [FixedLimit] = [
        FixedLimit(
            "Host name",
            .bytes(RequestedName.longestName),
            "DNS has no longer ones",
            isWire: true
        ),
        FixedLimit(
            "Beginning of paths of a tunnel",
            .bytes(RequestedName.longestPath),
            "it fits into a BIND with all the rest",
            isWire: true
        ),
        FixedLimit(
            "Fields that a tunnel sets",
            .bytes(RequestedName.longestFields),
            "they fit into a BIND with all the rest",
            isWire: true
        ),
        FixedLimit(
            "Lines for visitors' passwords of a tunnel",
            .bytes(RequestedName.longestPasswords),
            "they fit into a BIND with all the rest",
            isWire: true
        ),
        FixedLimit(
            "Name of a group",
            .bytes(RequestedGroup.longestName),
            "a name for people",
            isWire: true
        ),
        FixedLimit(
            "Share of `http_connections` for one address",
            .part(ConnectionSlots.addressPart),
            "no single address keeps the others out"
        ),
        FixedLimit(
            "ClientHello",
            .bytes(ClientHelloReader.maximumMessageBytes),
            "post-quantum keys take two KiB, and no client sends more than four"
        ),
        FixedLimit(
            "ClientHello with its record headers",
            .bytes(ClientHelloReader.maximumWireBytes),
            "a hello in very small records is bounded too"
        ),
        FixedLimit("Time for a ClientHello", .time(ClientHelloHandler.timeout), "it is one packet or two"),
        FixedLimit(
            "Bytes on the way between a visitor and a session",
            .bytes(VisitorStream.window),
            "two frames while two more are read"
        ),
        FixedLimit(
            "Bytes that are read behind a request before its answer",
            .bytes(HTTPVisitor.readAhead),
            "the next request of a visitor that does not wait"
        ),
        FixedLimit(
            "Streams of a visitor's connection that wait for its next request",
            .count(StreamPool.maximum),
            "a connection addresses one name, rarely several"
        ),
        FixedLimit(
            "Streams of a visitor's HTTP/2 connection that wait for its next requests",
            .count(StreamPool.maximumOfHTTP2),
            "it sends many requests at once"
        ),
        FixedLimit(
            "Silence after which a visitor that has ended its side is forgotten",
            .time(HTTPVisitor.halfClosed),
            "it may have gone, and only a write would show that"
        ),
        FixedLimit(
            "Time for which a waiting stream carries a request that must not be repeated",
            .time(StreamPool.freshness),
            "a service may end an idle connection at any time"
        ),
        FixedLimit(
            "Time for a visitor to take its last answer, and for a service to end a stream that was left",
            .time(HTTPVisitor.lingering),
            "a peer in order ends at once"
        ),
        FixedLimit(
            "Line of a chunk's size",
            .bytes(BodyReader.maximumChunkLine),
            "extensions have no use, and the size needs ten bytes"
        ),
        FixedLimit(
            "Informational answers to one request",
            .count(ResponseReader.maximumInformational),
            "a service sends one or two"
        ),
        FixedLimit("Line of a visitor's password", .bytes(VisitorPassword.longestLine), "a name and a hash fit"),
        FixedLimit("Password of a visitor", .bytes(VisitorPassword.longestPassword), "a sentence fits"),
        FixedLimit(
            "Wrong passwords a minute from one address without a delay",
            .count(PasswordPacing().freeTries),
            "a mistyped password has no penalty"
        ),
        FixedLimit(
            "Longest delay after wrong passwords",
            .time(PasswordPacing().longestDelay),
            "a guesser gets a thousand tries a day"
        ),
        FixedLimit(
            "Addresses whose wrong passwords are remembered",
            .count(PasswordPacing().rememberedAddresses),
            "each costs some bytes"
        ),
        FixedLimit(
            "Checks of passwords in a second",
            .count(PasswordPacing().checksPerSecond),
            "each takes some milliseconds of an event loop"
        ),
        FixedLimit(
            "Right passwords that are remembered",
            .count(VisitorLogins.remembered),
            "further visitors are checked again"
        ),
        FixedLimit(
            "Requests at a time on one HTTP/2 connection",
            .count(HTTP2Connection.maximumStreams),
            "each may become a stream to the client"
        ),
        FixedLimit(
            "Head of an HTTP/2 request",
            .bytes(HTTP2Connection.maximumHead),
            "as in HTTP/1"
        ),
        FixedLimit(
            "CONTINUATION frames of one HTTP/2 head",
            .count(HTTP2Connection.maximumContinuations),
            "a head of the largest size needs two"
        ),
        FixedLimit(
            "Streams that a visitor may reset in 30 s on one HTTP/2 connection",
            .count(HTTP2Connection.maximumResets),
            "a page that is left resets some dozens"
        ),
        FixedLimit(
            "PING, SETTINGS and PRIORITY frames in 30 s on one HTTP/2 connection",
            .count(HTTP2Connection.maximumControlFrames),
            "browsers send a few"
        ),
        FixedLimit(
            "Time for the requests of an HTTP/2 connection once the server stops",
            .time(HTTP2Connection.draining),
            "as for other streams"
        ),
    ]
}
