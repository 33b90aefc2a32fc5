/// Decides when to acknowledge received frames (protocol page, section 6).
struct Acknowledger: Sendable {
    /// Counted frames received.
    private(set) var received: UInt64 = 0
    private var bytesSince = 0
    private var due: Instant?
    /// Whether an ACK is due and waits only for room on the carrier.
    private(set) var isPending = false
    private let limits: MuxLimits

    init(limits: MuxLimits) {
        self.limits = limits
    }

    /// The instant at which an ACK becomes due; nil if there is nothing to acknowledge or one is already due.
    var deadline: Instant? { due }

    /// Marks the ACK as due if its instant has come, whether or not the carrier has room.
    mutating func tick(now: Instant) {
        guard let due, now >= due else { return }
        self.due = nil
        isPending = true
    }

    mutating func receive(_ length: Int, now: Instant) {
        received += 1
        bytesSince += length
        if bytesSince >= limits.ackBytes {
            due = nil
            isPending = true
        } else if due == nil, !isPending {
            due = now + limits.ackDelay
        }
    }

    /// Forgets a due ACK after the loss of the carrier; the next handshake reports the count.
    mutating func forgetDue() {
        due = nil
        isPending = false
        bytesSince = 0
    }

    /// Removes and returns the count of a due ACK; nil if none is due.
    mutating func take(now: Instant) -> UInt64? {
        tick(now: now)
        guard isPending else { return nil }
        isPending = false
        bytesSince = 0
        return received
    }
}
