/// Session limits that no configuration key changes, listed here for the table of limits. The type that holds each
/// limit states its reason.
extension MuxLimits {
    /// Distance by which a CREDIT may exceed what was sent, bytes.
    package static var furthestCredit: Int { Int(clamping: SendCredit.furthest) }
    /// Least window of a stream on a far path once more than a request was accepted, bytes.
    package static var farWindow: Int { Int(ReceiveCredit.farWindow) }
    /// Divisor of the stream limit that gives the places reserved for tunnels.
    package static var reservePart: Int { TunnelShares.reservePart }
    /// RENEW frames within ten seconds.
    package static var renewals: Int { renewalsInTenSeconds }
    /// Shortest time between two PINGs on one carrier.
    package static var pingSpacing: Duration { KeepAlive.spacing }
    /// Bytes in flight: the first window of a carrier, and the smallest window.
    package static var bytesInFlight: (first: Int, least: Int, leastAlone: Int) {
        (CongestionWindow.first, CongestionWindow.least, CongestionWindow.leastAlone)
    }
    /// Bytes that a stream sends before the next stream's quantum.
    package static var quantum: Int { CongestionWindow.maximumQuantum }
    /// Interactive streams: their largest queue in bytes, the bytes reserved for them, and their frames in a row.
    package static var interactive: (bytes: Int, reserve: Int, frames: Int) {
        (SendScheduler.interactiveBytes, SendScheduler.reserve, SendScheduler.interactiveInARow)
    }
    /// Buffers that hold one received payload.
    package static var payloadPieces: Int { FrameAssembler.maximumChunks }
    /// Rounds of the token's key derivation.
    package static var tokenRounds: Int { Token.rounds }
}
