import Logging
import NIOCore
import NIOPosix
import Testing

@testable import TunnelClient
@testable import TunnelCore

@Suite("Rules of SOCKS tunnels")
struct OpenRulesTests {
    @Test("A forward's port needs a rule that writes it, a port that the system has chosen too")
    func forwards() async throws {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let (events, event) = AsyncStream.makeStream(of: UInt16.self)
        let listeners = try await loop.submit {
            let listeners = ForwardListeners(
                ForwardSet([ForwardSpec(port: 0, on: "127.0.0.1", to: .socks)]),
                loop: loop,
                limits: ClientLimits(),
                totals: TrafficTotals(),
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            ) {
                if case .listening(_, let port) = $0 { event.yield(port) }
            }
            listeners.start()
            return NIOLoopBound(listeners, eventLoop: loop)
        }.get()
        let port = try #require(await events.first { _ in true })
        let places = try await loop.submit { listeners.value.places }.get()
        try await loop.submit { listeners.value.stop() }.get()
        let other = port == 1 ? 2 : port - 1
        #expect(try decision("localhost:*", port, places) == .denied)
        #expect(try decision("localhost:1-65535", port, places) == .denied)
        #expect(try decision("localhost:*", other, places) != .denied)
        #expect(try decision("localhost:\(port)", port, places) != .denied)
    }

    private func decision(
        _ rule: String,
        _ port: UInt16,
        _ places: DestinationPolicy.Own
    ) throws -> DestinationPolicy.Decision {
        let rules = OpenRules([try #require(DestinationRule(rule))], admin: [])
        return rules.policy(beside: places).decide(try #require(Destination("localhost:\(port)")), .tcp)
    }
}
