import HTTP1
import Mux

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A client as whoever runs it deals with it.
final class ClientAdmin: Administered {
    private let current: CurrentSession
    private let totals: TrafficTotals
    private let memory: MemoryBudget
    private let started = Date()

    init(_ current: CurrentSession, _ totals: TrafficTotals, _ memory: MemoryBudget) {
        self.memory = memory
        self.current = current
        self.totals = totals
        TunnelMetrics.prepareClient()
    }

    var obstacle: String? {
        if current.isStopping { return "the client is stopping" }
        return current.session == nil ? "no session with a server" : nil
    }

    func measure() async {
        let gauges = try? await current.session?.measure().get()
        (gauges ?? TunnelGauges()).publish()
        memory.publish()
    }

    func status() async throws -> [UInt8] {
        let session = try? await current.session?.status().get()
        let status = ClientStatus(started: started, now: Date(), session: session, totals: TotalStatus(totals))
        return Array(try StatusJSON.encode(status))
    }

    /// A client has nobody to kick.
    func kick(_ name: String) async -> Int? { nil }

    func renew(_ name: String?) async -> Int? {
        guard name == nil else { return nil }
        guard let session = current.session else { return 0 }
        session.renew("asked for")
        return 1
    }
}

extension ClientSession {
    /// What whoever runs the client sees of it.
    func status(_ route: DialRoute, software: String, since: Int64, carriers: Int) -> ClientSessionStatus {
        ClientSessionStatus(
            url: "\(route.endpoint)",
            proxy: route.proxy.map { "\($0.redacted)" },
            software: software.escapedForDisplay(),
            since: Date(timeIntervalSince1970: Double(since)),
            roundTripMs: driver.roundTrip?.milliseconds,
            isDraining: isDraining,
            hasCarrier: driver.hasCarrier,
            carriers: carriers,
            streams: driver.streamCount,
            queuedBytes: driver.waitingBytes.toSend,
            bufferedBytes: driver.waitingBytes.toDeliver,
            tunnels: zip(forwards, ledgers).map { forward, ledger in
                var status = TunnelStatus(ledger)
                status.service = forward.service
                status.address = status.address?.escapedForDisplay()
                status.url = ledger.place.map { place in
                    Binding(tunnel: ledger.tunnel, address: place.address, port: place.port).url(route.endpoint)
                        .escapedForDisplay()
                }
                return status
            },
            visitors: ledgers.flatMap(VisitorStatus.all)
        )
    }
}
