import Logging
import NIOCore

/// Where a stream comes from: for its last line in the log, the operator's status and the metrics.
package struct StreamIdentity {
    /// The visitor's address, as its end tells it.
    package let visitor: String
    /// The tunnel's.
    package let statistics: TunnelStatistics
    /// When the visitor came, in seconds since 1970.
    package let since = WallClock.unixSeconds
    private let began = NIODeadline.now()

    package init(visitor: String, statistics: TunnelStatistics) {
        self.visitor = visitor
        self.statistics = statistics
    }

    /// What the log says of it when the stream has ended, with room for what the stream itself adds.
    package var metadata: Logger.Metadata {
        var metadata = Logger.Metadata(minimumCapacity: 12)
        metadata["visitor"] = .string(visitor)
        metadata["tunnel"] = .string(String(statistics.tunnel))
        metadata["duration_ms"] = .string(String((NIODeadline.now() - began).nanoseconds / 1_000_000))
        if let service = statistics.service { metadata["service"] = .string(service) }
        if let place = statistics.place { metadata["port"] = .string(String(place.port)) }
        return metadata
    }
}
