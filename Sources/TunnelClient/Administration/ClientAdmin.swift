import HTTP1
import Mux
import NIOCore
import NIOSSL
import ProxyConnect
import TunnelAdmin
import TunnelCore

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Answers the operator of a client.
final class ClientAdmin: AdminTarget {
    /// The time that an operator waits for the outcome of a dial. A dial through a proxy takes less, and the admin server
    /// must answer within its own timeout.
    static let outcomeTimeout = Duration.seconds(8)

    private let current: CurrentSessions
    private let queue: ReloadQueue<ClientConfiguration>
    private let progress: RunProgress
    private let totals: TrafficTotals
    private let memory: MemoryBudget
    private let metrics: ClientMetrics
    private let listeners: NIOLoopBound<ForwardListeners>
    private let started = Date()
    /// The configurations of TLS whose certificates have an end, by use.
    private let tls: [(use: String, configuration: TLSConfiguration)]

    init(
        _ current: CurrentSessions,
        _ queue: ReloadQueue<ClientConfiguration>,
        _ progress: RunProgress,
        _ totals: TrafficTotals,
        _ memory: MemoryBudget,
        _ metrics: ClientMetrics,
        _ listeners: NIOLoopBound<ForwardListeners>,
        tls: [(use: String, configuration: TLSConfiguration)]
    ) {
        self.tls = tls
        self.listeners = listeners
        self.progress = progress
        self.memory = memory
        self.current = current
        self.queue = queue
        self.totals = totals
        self.metrics = metrics
    }

    var notReadyReason: String? {
        if current.isStopping { return "the client is stopping" }
        return progress.now.notReadyReason
    }

    func measure() async {
        let facts = progress.now
        var gauges = TunnelGauges()
        for session in current.sessions {
            if let own = try? await session.measure().get() { gauges += own }
        }
        gauges.unpublishedTunnels = facts.unpublishedTunnels
        totals.metrics.publish(gauges)
        let now = WallClock.unixSeconds
        metrics.publish(
            withoutCarrier: facts.withoutCarrierSince.map { max(0, now - $0) } ?? 0,
            nextDial: facts.nextTry.map { max(0, $0 - now) } ?? 0
        )
        totals.metrics.publish(memory)
        for (use, configuration) in tls { metrics.certificates.publish(configuration, use: use) }
    }

    func status(session _: Int?) async throws -> [UInt8] {
        var sessions: [ClientSessionStatus] = []
        for session in current.sessions {
            if let status = try? await session.status().get() { sessions.append(status) }
        }
        let (forwards, connections, endings) = try await listeners.eventLoop.submit { [listeners] in
            listeners.value.status
        }
        .get()
        var status = ClientStatus(
            started: started,
            now: Date(),
            connection: ConnectionStatus(progress.now),
            session: sessions.first,
            forwards: forwards,
            connections: connections,
            endings: endings,
            totals: TotalStatus(totals)
        )
        if sessions.count > 1 { status.furtherSessions = Array(sessions.dropFirst()) }
        return Array(try StatusJSON.encode(status))
    }

    func reload() async -> ReloadResult? {
        await queue.reload { error in
            metrics.reloads.note(isApplied: false)
            return error.userDescription
        }
    }

    /// Returns nil: a client has no clients.
    func kick(_ name: String) async -> Int? { nil }

    func renew(_ name: String?) async -> RenewResult? {
        guard name == nil else { return nil }
        let hadCarrier = progress.now.withoutCarrierSince == nil
        let outcome = await progress.nextOutcome(within: Self.outcomeTimeout) { current.renew() }
        let text: String
        switch outcome {
        case .connected(let way): text = hadCarrier ? "another WebSocket has taken over: \(way)" : "connected: \(way)"
        case .failed(let error):
            text = hadCarrier ? "the present WebSocket stays; the dial failed: \(error)" : "the dial failed: \(error)"
        case nil: text = "dialling; the outcome is not known yet, culvert status shows it"
        }
        return RenewResult(asked: current.sessions.count, report: text)
    }
}

extension ForwardListeners {
    /// The status of the forwards and of their connections for the operator.
    var status: (forwards: [ForwardStatus], connections: [VisitorStatus], endings: [EndingStatus]) {
        let all = forwards.map { forward in
            let port = forward.statistics.place?.port
            return ForwardStatus(forward.statistics, address: port.map(forward.spec.listening))
        }
        let statistics = forwards.map(\.statistics)
        let endings = statistics.flatMap(EndingStatus.all).sorted { $0.ended > $1.ended }
        return (all, statistics.flatMap(VisitorStatus.all), Array(endings.prefix(EndedStreams.limit)))
    }
}

extension ClientSession {
    /// The status of the session for the operator.
    ///
    /// - Parameter lane: why a lane was opened, and its proxy.
    func status(
        _ route: DialRoute,
        software: String,
        sealedWith: String?,
        since: Int64,
        carriers: Int,
        about lane: (LaneID) -> (reason: String?, proxy: ProxyURL?)
    ) -> ClientSessionStatus {
        sessionLoop.countDrops()
        return ClientSessionStatus(
            url: "\(route.endpoint)",
            proxy: route.proxy.map { "\($0.redacted)" },
            software: software.escapedForDisplay(),
            sealedWith: sealedWith,
            since: Date(timeIntervalSince1970: Double(since)),
            roundTripMs: sessionLoop.roundTrip?.milliseconds,
            isDraining: isDraining,
            hasCarrier: sessionLoop.hasCarrier,
            carrierSince: ago(sessionLoop.carrierAge),
            lastSeen: ago(sessionLoop.silence),
            carriers: carriers,
            resumes: carriers - 1,
            streams: sessionLoop.streamCount,
            queuedBytes: sessionLoop.waitingBytes.toSend,
            bufferedBytes: sessionLoop.waitingBytes.toDeliver,
            lanes: sessionLoop.laneStates.map { state in
                var status = LaneStatus(state, since: ago(state.age))
                let (reason, proxy) = lane(state.lane)
                status.reason = reason
                status.proxy = proxy.map { "\($0.redacted)" }
                return status
            },
            tunnels: tunnels.enumerated().filter { !$0.element.isRemoved }.map { index, tunnel in
                let statistics = tunnel.statistics
                var status = TunnelStatus(statistics)
                status.refusal = progress.now.tunnels[index].refusal?.escapedForDisplay(limit: 512)
                if statistics.place == nil { status.wanted = tunnel.spec.description.escapedForDisplay() }
                status.service = tunnel.spec.service
                status.address = status.address?.escapedForDisplay()
                status.url = statistics.place.map { place in
                    Binding(tunnel: statistics.tunnel, address: place.address, port: place.port)
                        .url(route.endpoint, tunnel.spec.transport)
                        .escapedForDisplay()
                }
                return status
            },
            visitors: statistics.flatMap(VisitorStatus.all)
        )
    }

    /// The time before now, in whole seconds as all times of a status.
    private func ago(_ time: Duration?) -> Date? {
        time.map { Date(timeIntervalSince1970: Double(WallClock.unixSeconds - max(0, $0.components.seconds))) }
    }
}
