import Mux

/// What a session's peer sends, for ``BusyPolling``: a single copy, or anything else. Pure: it is told what has come.
///
/// The end that takes a single copy sleeps between two pieces of it: it is woken anyhow, and more is there then. An upload
/// took .95 of the processor time so, and a download .89, at 1.03 and 1.07 times the rate (24 pairs). Where 16 were taken
/// by turns it was .94 for 1.06 times the rate and 1.01 for .96 (12 pairs), so that several are looked out for.
struct TakenCopies {
    /// Long frames in a row of one stream, from which on it is the only one. 16: where several have turns, one of them is a
    /// quarter of a MiB at most, four frames.
    static let inARow = 16

    private var stream = StreamID.session
    private var frames = 0

    /// What a read of the carrier has brought, where none of its frames says more.
    var load: BusyPolling.Load { frames >= Self.inARow ? .receipt : .bulk }

    /// A frame has come, with so many bytes of payload; says what it is, and nil where that is left to the read.
    mutating func takes(_ type: FrameType, of stream: StreamID, _ length: Int) -> BusyPolling.Load? {
        switch type {
        case .data where (1...BusyPolling.Load.mostLittle).contains(length):
            return .little
        case .data:
            if stream != self.stream { (self.stream, frames) = (stream, 0) }
            frames = min(frames + 1, Self.inARow)
            return load
        case .open, .accept, .end, .reset:
            return .little
        case .ack, .credit:
            // Of what this end sends.
            return .bulk
        case .bind, .bound, .unbound, .ping, .pong, .goAway, .renew,
            .challenge, .authenticate, .welcome, .resume, .resumed, .refused:
            return nil
        }
    }
}
