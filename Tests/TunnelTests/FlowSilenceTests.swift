import Mux
import Testing

@testable import TunnelCore

/// When silence ends a UDP flow: the short time, or the long one after a conversation.
@Suite("Silence of UDP flows")
struct FlowSilenceTests {
    /// A datagram in milliseconds after the start, from the socket or from the peer.
    enum Datagram: Sendable {
        case sent(Int64)
        case received(Int64)
    }

    @Test(
        "A flow ends after 30 s of silence, and after 120 s once both sides have sent for two seconds",
        arguments: [
            ([], 30_000, false), ([.sent(0)], 30_000, false), ([.sent(0), .sent(9_000)], 39_000, false),
            ([.received(5_000)], 35_000, false), ([.sent(0), .received(10)], 30_010, true),
            ([.sent(0), .received(10), .sent(2_009)], 32_009, true),
            ([.sent(0), .received(10), .sent(2_010)], 122_010, true),
            ([.sent(0), .sent(8_000), .received(8_001)], 38_001, true),
            ([.sent(0), .received(10), .sent(2_010), .received(60_000)], 180_000, true),
        ] as [([Datagram], Int64, Bool)]
    )
    func deadline(datagrams: [Datagram], milliseconds: Int64, isAnswered: Bool) {
        let start = Instant.now
        var silence = FlowSilence(FlowSilence.Limits(), now: start)
        for datagram in datagrams {
            switch datagram {
            case .sent(let time): silence.sent(now: start + .milliseconds(time))
            case .received(let time): silence.received(now: start + .milliseconds(time))
            }
        }
        #expect(silence.deadline == start + .milliseconds(milliseconds))
        #expect(silence.isAnswered == isAnswered)
    }
}
