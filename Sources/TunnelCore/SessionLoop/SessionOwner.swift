import Mux

/// What every session reports to its role.
package protocol SessionOwner: AnyObject {
    /// There may be room for another stream, or a stream has ended.
    func sessionRoomChanged(_ session: SessionLoop)
    /// The peer opens a stream: a visitor's, or one to a destination that it names.
    func session(_ session: SessionLoop, open stream: StreamID, _ request: OpenRequest)
    /// This end has few stream numbers left: another session should begin.
    func sessionNumbersRunOut(_ session: SessionLoop)
    /// The peer will accept nothing new.
    func session(_ session: SessionLoop, goingAway reason: Refusal)
    /// The carrier is gone. The session waits for another one.
    func session(_ session: SessionLoop, lost carrier: LostCarrier)
    /// A lane's carrier is gone. The session goes on over others.
    func session(_ session: SessionLoop, lost carrier: LostCarrier, of lane: LaneID)
    /// A lane was left, and its carrier closed.
    func session(_ session: SessionLoop, left lane: LaneID)
    /// The session is over; its streams have been reset. Called exactly once.
    func session(_ session: SessionLoop, ended end: SessionEnd)
}

/// A server's session: the client asks for ports and gives them back.
package protocol ServerSessionOwner: SessionOwner {
    /// The client asks for a public port.
    func session(_ session: SessionLoop, bind request: BindRequest)
    /// The client gives the port of a tunnel back.
    func session(_ session: SessionLoop, unbind tunnel: UInt16)
    /// The client says whether the service of a tunnel answers.
    func session(_ session: SessionLoop, state: TunnelState)
}

/// A client's session: ports are public or refused.
package protocol ClientSessionOwner: SessionOwner {
    /// A port is public.
    func session(_ session: SessionLoop, bound binding: Binding)
    /// A port was refused or given up.
    func session(_ session: SessionLoop, unbound tunnel: UInt16, _ refusal: Refusal)
    /// The server asks for another carrier within so many seconds.
    func session(_ session: SessionLoop, renewWithin seconds: UInt32)
}
