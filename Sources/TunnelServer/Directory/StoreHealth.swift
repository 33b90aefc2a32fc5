import Cluster
import HTTP1
import TunnelCore

/// Whether the cluster's store answers, for the operator.
struct StoreHealth: Sendable {
    /// The time since which it does not answer, in seconds since 1970; nil while it does.
    private(set) var silentSince: Int64?
    /// Why a request has failed for the last time.
    private(set) var lastFailure: String?
    private var hasAnswered = false

    /// A store that has not answered yet.
    init(now: Int64) {
        silentSince = now
    }

    /// The store has answered a request.
    mutating func answered() {
        (hasAnswered, silentSince) = (true, nil)
    }

    /// A request has failed, or a watch has ended.
    mutating func failed(_ failure: StoreFailure, now: Int64) {
        lastFailure = "\(failure)".escapedForDisplay()
        silentSince = silentSince ?? now
    }

    /// Whether the store has answered the last request.
    var isUp: Bool { hasAnswered && silentSince == nil }
}
