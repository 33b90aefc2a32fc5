import Logging
import Mux

/// Notices that something alters what the carriers of a session bring, again and again.
///
/// One altered message may be a broken machine. Three in a minute are a fault or an attack that the operator must know of.
package struct AlterationWatch: Sendable {
    /// Carriers that must end so within ``span``.
    package static let threshold = 3
    package static let span = Duration.seconds(60)

    private var times: [Instant] = []

    /// Creates a watch that has seen nothing.
    package init() {}

    /// Records that a carrier has ended because what came was altered.
    ///
    /// - Returns: whether this is one too many. The count then begins anew.
    package mutating func record(now: Instant) -> Bool {
        times.removeAll { now.since($0) > Self.span }
        times.append(now)
        guard times.count >= Self.threshold else { return false }
        times = []
        return true
    }

    /// The warning for the log.
    package static func warn(_ logger: Logger) {
        logger.warning(
            "the connection is being altered in transit: what comes is not what the other end has sealed",
            metadata: ["carriers": "\(threshold) within \(span.components.seconds) s"]
        )
    }
}
