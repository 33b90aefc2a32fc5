import Mux

/// Why a session ended.
package enum SessionEnd: CustomStringConvertible {
    /// This end ended it.
    case local(Refusal)
    /// The peer ended it.
    case peer(Refusal)
    /// The peer broke the session protocol.
    case violation(MuxError)
    /// The carrier is lost and the session cannot outlive it: the peer broke RFC 6455, or the grace period is zero.
    case carrierLost(CarrierLoss)
    /// No new carrier came within the grace period.
    case abandoned(MuxError)
    /// The server no longer knows the client's session.
    case forgotten

    package var description: String {
        switch self {
        case .local(let reason): "ended by this end: \(reason)"
        case .peer(let reason): "ended by the peer: \(reason)"
        case .violation(let error): "the peer broke the session protocol: \(error)"
        case .carrierLost(let loss): "carrier lost: \(loss)"
        case .abandoned(let error): "\(error.detail)"
        case .forgotten: "the server no longer knows the session; it may have been restarted"
        }
    }
}
