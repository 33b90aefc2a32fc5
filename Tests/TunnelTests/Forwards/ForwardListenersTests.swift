import Logging
import NIOCore
import NIOEmbedded
import Testing

@testable import Mux
@testable import TunnelClient
@testable import TunnelCore

/// Which session takes the connections of forwards.
@Suite("Sessions behind a client's forwards")
struct ForwardListenersTests {
    private let loop = EmbeddedEventLoop()
    private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    private let listeners: ForwardListeners

    init() {
        listeners = ForwardListeners(
            ForwardSet([]),
            loop: loop,
            limits: ClientLimits(),
            totals: TrafficTotals(),
            logger: logger
        ) { _ in }
    }

    private func streams() -> ForwardStreams {
        let sessionLoop = SessionLoop(
            session: Session(role: .client, peerWindow: 65_536, seed: 1, now: .now),
            carrier: FakeCarrier(),
            loop: loop,
            pollsBusily: false,
            memory: MemoryBudget(),
            logger: logger
        )
        sessionLoop.start(NoOwner() as any ClientSessionOwner)
        return ForwardStreams(sessionLoop, ClientLimits(), logger: logger)
    }

    @Test("One of several sessions takes the connections, and another one takes over when it ends or loses its carrier")
    func takesOver() {
        let (first, second, third) = (streams(), streams(), streams())
        let names = [first, second, third].map(ObjectIdentifier.init)
        var taking: [Int?] = []
        listeners.onSession = { taking.append(names.firstIndex(of: ObjectIdentifier($0))) }
        listeners.start()
        for streams in [first, second, third] { listeners.begin(streams) }
        #expect(taking == [0])
        listeners.pause(third)
        #expect(taking == [0], "a spare session has lost its carrier")
        listeners.pause(first)
        #expect(taking == [0, 1])
        listeners.begin(first)
        #expect(taking == [0, 1], "the session that is back does not take over")
        listeners.pause(second)
        listeners.pause(second)
        #expect(taking == [0, 1, 0])
        listeners.pause(first)
        listeners.begin(second)
        #expect(taking == [0, 1, 0, 1], "after a time without any session")
        listeners.begin(second)
        #expect(taking == [0, 1, 0, 1, 1], "the same session has another carrier")
        listeners.stop()
        listeners.begin(first)
        #expect(taking.count == 5)
    }
}
