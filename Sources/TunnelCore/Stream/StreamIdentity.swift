import Logging
import Mux
import NIOCore

/// Where a stream comes from: for its last line in the log, the operator's status and the metrics.
package struct StreamIdentity {
    /// The address of the visitor, or of the program at the client, as its end reports it.
    package let visitor: String
    /// What the client or a SOCKS request has named; nil for other streams of a tunnel.
    package var destination: String?
    /// What the stream carries.
    package let kind: StreamKind
    /// The statistics of its tunnel, or of the client's forwards.
    package let statistics: TunnelStatistics
    /// When the visitor came, in seconds since 1970.
    package let since = WallClock.unixSeconds
    private let began = NIODeadline.now()

    package init(visitor: String, destination: String? = nil, kind: StreamKind = .tcp, statistics: TunnelStatistics) {
        self.kind = kind
        self.visitor = visitor
        self.destination = destination
        self.statistics = statistics
    }

    /// Counts the end of the stream, and writes its line to the log.
    package func logEnd(
        of stream: StreamID,
        _ bytes: StreamPipe.ByteCounts,
        _ ending: SocketState.Ending,
        to logger: Logger
    ) {
        statistics.metrics.streams.increment()
        if ending != .finished { statistics.metrics.resetStreams.increment() }
        statistics.note(
            EndedStream(
                visitor: visitor,
                destination: destination,
                kind: kind,
                since: since,
                ended: WallClock.unixSeconds,
                traffic: statistics.traffic(bytes),
                ending: ending
            )
        )
        guard logger.logLevel <= .info else { return }
        let (isLogged, suppressed) = statistics.endedStreams.admit(now: .now)
        guard isLogged else { return }
        // Strings, since interpolations take half as long again.
        var metadata = Logger.Metadata(minimumCapacity: 12)
        describe(&metadata)
        metadata["duration_ms"] = .number((NIODeadline.now() - began).nanoseconds / 1_000_000)
        if suppressed > 0 { metadata["not_logged_before"] = .number(suppressed) }
        metadata["stream"] = .number(stream.rawValue)
        let traffic = statistics.traffic(bytes)
        metadata["to_service"] = .number(traffic.toService)
        metadata["to_visitor"] = .number(traffic.toVisitor)
        metadata["reason"] = .string(ending.description)
        logger.info("stream ended", metadata: metadata)
    }

    /// Writes a line to the log, at debug: a visitor has come, or a program has connected.
    package func logBegin(to logger: Logger) {
        guard logger.logLevel <= .debug else { return }
        var metadata = Logger.Metadata()
        describe(&metadata)
        logger.debug("visitor came", metadata: metadata)
    }

    private func describe(_ metadata: inout Logger.Metadata) {
        metadata["visitor"] = .string(visitor)
        metadata["kind"] = .string(kind.name)
        if let destination {
            metadata["destination"] = .string(destination)
        } else {
            metadata["tunnel"] = .number(statistics.tunnel)
        }
        if let service = statistics.service { metadata["service"] = .string(service) }
        if let place = statistics.place {
            let key = place.port > 0 ? "port" : place.address.hasPrefix("/") ? "socket" : "url"
            metadata[key] = place.port > 0 ? .number(place.port) : .string(place.address)
        }
    }
}

extension SocketState.Ending: CustomStringConvertible {
    /// The reason for the log.
    package var description: String {
        switch self {
        case .finished: "finished"
        case .resetByThisSocket: "reset by this end's socket"
        case .resetByOtherEnd(let code): "reset by the other end: \(code)"
        case .idle: "silent for too long"
        case .withoutSocket: "without a socket"
        }
    }
}
