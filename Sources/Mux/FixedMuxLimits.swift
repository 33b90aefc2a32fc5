/// Bounds of a session that no configuration moves, for the table of limits. Their reasons stand at the types that hold
/// them.
extension MuxLimits {
    /// How far a CREDIT may reach beyond what was sent, bytes.
    package static var furthestCredit: Int { Int(clamping: SendCredit.furthest) }
    /// One part in so many of the streams is kept in reserve for the tunnels.
    package static var reservePart: Int { TunnelShares.reservePart }
    /// RENEW frames in ten seconds.
    package static var renewals: Int { renewalsInTenSeconds }
    /// Time between two pings on one carrier at least.
    package static var pingSpacing: Duration { KeepAlive.spacing }
    /// Bytes in flight at the start of a carrier, and at least.
    package static var bytesInFlight: (first: Int, least: Int) { (CongestionWindow.first, CongestionWindow.least) }
    /// Bytes that a stream sends before the next one's turn.
    package static var quantum: Int { CongestionWindow.maximumQuantum }
    /// Bytes up to which a stream counts as interactive, the bytes kept free for such streams, and their frames in a row.
    package static var interactive: (bytes: Int, reserve: Int, frames: Int) {
        (SendScheduler.interactiveBytes, SendScheduler.reserve, SendScheduler.interactiveInARow)
    }
    /// Buffers of one received payload.
    package static var payloadPieces: Int { FrameAssembler.mostPieces }
    /// Rounds of the token's key derivation.
    package static var tokenRounds: Int { Token.rounds }
}
