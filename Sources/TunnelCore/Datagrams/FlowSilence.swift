import Mux

/// Decides when a flow has been silent for too long: sooner while only one side has sent, later once both have sent for
/// a while (RFC 4787, section 4.3, asks for two minutes).
///
/// Pure: the caller passes the time.
package struct FlowSilence: Sendable {
    /// The timeouts of silence.
    package struct Limits: Sendable, Equatable {
        /// Silence that ends a flow.
        package var short: Duration
        /// Silence that ends a flow whose both sides have sent for ``conversation``.
        package var long: Duration

        package init(short: Duration = .seconds(30), long: Duration = .seconds(120)) {
            (self.short, self.long) = (short, long)
        }
    }

    /// Time over which both sides must have sent.
    package static let conversation = Duration.seconds(2)

    private let limits: Limits
    private var last: Instant
    private var firstSent: Instant?
    private var firstReceived: Instant?
    /// Whether both sides have sent for ``conversation``.
    package private(set) var isConversation = false

    package init(_ limits: Limits, now: Instant) {
        self.limits = limits
        last = now
    }

    /// A datagram came from the socket.
    package mutating func sent(now: Instant) {
        last = now
        firstSent = firstSent ?? now
        update(now)
    }

    /// A datagram came from the peer.
    package mutating func received(now: Instant) {
        last = now
        firstReceived = firstReceived ?? now
        update(now)
    }

    private mutating func update(_ now: Instant) {
        guard !isConversation, let firstSent, let firstReceived else { return }
        isConversation = now.since(max(firstSent, firstReceived)) >= Self.conversation
    }

    /// When the flow ends unless a datagram comes.
    package var deadline: Instant { last + (isConversation ? limits.long : limits.short) }

    /// Whether both sides have sent.
    package var isAnswered: Bool { firstSent != nil && firstReceived != nil }
}
