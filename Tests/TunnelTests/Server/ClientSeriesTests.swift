import MetricsTestKit
import Testing

@testable import TunnelCore
@testable import TunnelServer

@Suite("Metrics of each client")
struct ClientSeriesTests {
    private func value(_ metrics: TestMetrics, _ name: String, _ client: String) -> Double? {
        (try? metrics.expectMeter(name, [("client", client)]))?.lastValue
    }

    @Test("Clients beyond the limit share a name, whose gauge is their sum")
    func limit() {
        let metrics = TestMetrics()
        let series = ClientSeries(factory: metrics)
        let names = (1...ClientSeries.limit + 5).map { "client \($0)" }
        for _ in 0..<2 { series.publish(names.map { ($0, TunnelGauges(unpublished: 0, sessions: 1)) }) }
        #expect(value(metrics, "culvert_client_sessions", names[0]) == 1)
        #expect(value(metrics, "culvert_client_sessions", ClientSeries.other) == 5)
        #expect(value(metrics, "culvert_client_sessions", names[ClientSeries.limit]) == nil)
    }

    @Test("A client without a session has zeros, and its bytes stay")
    func without() throws {
        let metrics = TestMetrics()
        let series = ClientSeries(factory: metrics)
        let whole = TrafficTotals(metrics: TunnelMetrics(factory: metrics))
        let part = TrafficTotals(of: whole, for: series.traffic(of: "a"))
        part.add(Traffic(toService: 3, toVisitor: 4))
        part.addVisitor()
        #expect(whole.traffic == Traffic(toService: 3, toVisitor: 4) && whole.visitors == 1)
        series.publish([("a", TunnelGauges(unpublished: 0, sessions: 2))])
        #expect(value(metrics, "culvert_client_sessions", "a") == 2)
        series.publish([])
        #expect(value(metrics, "culvert_client_sessions", "a") == 0)
        let counter = try metrics.expectCounter(
            "culvert_client_bytes_total",
            [("client", "a"), ("direction", "to_visitor")]
        )
        #expect(counter.totalValue == 4)
    }
}
