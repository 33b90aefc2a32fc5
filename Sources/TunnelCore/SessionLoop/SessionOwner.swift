import Mux

/// What every session reports to its role.
package protocol SessionOwner: AnyObject {
    /// There may be room for another stream, or a stream has ended.
    func sessionRoomChanged(_ session: SessionLoop)
    /// The peer will accept nothing new.
    func session(_ session: SessionLoop, goingAway reason: Refusal)
    /// The carrier is gone. The session waits for another one.
    func session(_ session: SessionLoop, lost carrier: LostCarrier)
    /// The session is over; its streams have been reset. Called exactly once.
    func session(_ session: SessionLoop, ended end: SessionEnd)
}

/// A server's session: the client asks for ports, and visitors get streams.
package protocol ServerSessionOwner: SessionOwner {
    /// The client asks for a public port.
    func session(_ session: SessionLoop, bind request: BindRequest)
    /// The session has few stream numbers left: another one should begin.
    func sessionNumbersRunOut(_ session: SessionLoop)
}

/// A client's session: ports are public or refused, and visitors arrive.
package protocol ClientSessionOwner: SessionOwner {
    /// A port is public.
    func session(_ session: SessionLoop, bound binding: Binding)
    /// A port was refused or given up.
    func session(_ session: SessionLoop, unbound tunnel: UInt16, _ refusal: Refusal)
    /// A visitor has arrived at a tunnel.
    func session(_ session: SessionLoop, open stream: StreamID, _ request: OpenRequest)
    /// The server asks for another carrier within so many seconds.
    func session(_ session: SessionLoop, renewWithin seconds: UInt32)
}
