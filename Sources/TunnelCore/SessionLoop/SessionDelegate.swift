import Mux

/// What a session needs from its role: the server binds ports, the client connects to services.
package protocol SessionDelegate: AnyObject {
    /// Server: a client asks for a port.
    func session(_ driver: SessionDriver, bind request: BindRequest)
    /// Client: a port is public.
    func session(_ driver: SessionDriver, bound binding: Binding)
    /// Client: a port was refused or given up.
    func session(_ driver: SessionDriver, unbound tunnel: UInt16, _ refusal: Refusal)
    /// Client: a visitor has come.
    func session(_ driver: SessionDriver, open stream: StreamID, _ visit: OpenRequest)
    /// The peer will accept nothing new.
    func session(_ driver: SessionDriver, goingAway reason: Refusal)
    /// The carrier is gone; the session waits for another one.
    func session(_ driver: SessionDriver, lost carrier: LostCarrier)
    /// Client: the server wants another carrier within so many seconds.
    func session(_ driver: SessionDriver, renewWithin seconds: UInt32)
    /// There may be room for another stream.
    func sessionHasRoom(_ driver: SessionDriver)
    /// The session has few stream numbers left: another one should begin.
    func sessionIsUsedUp(_ driver: SessionDriver)
    /// The session is over; its streams have been reset, or are about to be. Called exactly once.
    func session(_ driver: SessionDriver, ended end: SessionEnd)
}

/// Why a session ended.
package enum SessionEnd: CustomStringConvertible {
    /// This end ended it.
    case local(Refusal)
    /// The peer said so.
    case peer(Refusal)
    /// The peer broke the session protocol.
    case violation(MuxError)
    /// The carrier died, and the session does not outlive it: the peer broke RFC 6455, or no other one is waited for.
    case carrierLost(CarrierLoss)
    /// No new carrier came in time.
    case abandoned(MuxError)
    /// Client: the server does not know the session any more.
    case forgotten

    package var description: String {
        switch self {
        case .local(let reason): "ended by this end: \(reason)"
        case .peer(let reason): "ended by the peer: \(reason)"
        case .violation(let error): "the peer broke the session protocol: \(error)"
        case .carrierLost(let loss): "carrier lost: \(loss)"
        case .abandoned(let error): "\(error.detail)"
        case .forgotten: "the server does not know the session any more; it may have been restarted"
        }
    }
}
