import HTTP1
import Logging
import Mux
import NIOCore
import NIOPosix
import Synchronization
import TunnelAdmin
import TunnelCore

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The operator's access to a server. It asks each session on the session's own event loop.
final class ServerAdmin: AdminTarget {
    /// Seconds before a kicked client may return. The operator can disable it meanwhile.
    static let kickedFor: UInt32 = 10

    private let core: ServerCore
    private let queue: ReloadQueue<ServerConfiguration>
    private let started = Date()
    private let isListening = Atomic(false)
    private let isLeaving = Atomic(false)

    /// - Parameter queue: the configurations to apply.
    init(_ core: ServerCore, _ queue: ReloadQueue<ServerConfiguration>) {
        self.core = core
        self.queue = queue
    }

    /// Notes that the endpoint accepts.
    func listens() { isListening.store(true, ordering: .relaxed) }

    /// The server stops soon, and still serves.
    func leaves() { isLeaving.store(true, ordering: .relaxed) }

    var notReadyReason: String? {
        if core.isStopping || isLeaving.load(ordering: .relaxed) { return "the server is stopping" }
        return isListening.load(ordering: .relaxed) ? nil : "the server does not listen yet"
    }

    func measure() async {
        var gauges = TunnelGauges()
        var byClient: [(client: String, gauges: TunnelGauges)] = []
        let configuration = core.configuration
        for session in core.liveSessions {
            guard let measured = try? await session.measure().get() else { continue }
            gauges += measured
            if configuration.labelsMetricsByClient { byClient.append((session.facts.client, measured)) }
        }
        core.resources.metrics.clients.publish(byClient)
        core.resources.metrics.certificates.publish(configuration.tls, use: "server")
        core.resources.totals.metrics.publish(gauges)
        core.resources.metrics.publish(handshakes: core.admission.waiting)
        core.resources.totals.metrics.publish(core.resources.memory)
        await core.resources.cluster?.measure()
    }

    func status(session: Int?) async throws -> [UInt8] {
        Array(try StatusJSON.encode(await report(session: session)))
    }

    private func report(session wanted: Int?) async -> ServerStatus {
        var sessions: [SessionStatus] = []
        for session in core.liveSessions {
            let isWhole = wanted.map { $0 == session.facts.number } ?? true
            if let status = try? await session.status(isWhole: isWhole).get() { sessions.append(status) }
        }
        return ServerStatus(
            started: started,
            now: Date(),
            key: core.configuration.sealingKey?.publicKey.fingerprint,
            isAccepting: notReadyReason == nil,
            handshakes: core.admission.waiting,
            sessions: sessions.sorted { $0.number < $1.number },
            gone: core.gone.withLock { $0 }.latestFirst.map(GoneClientStatus.init),
            totals: TotalStatus(core.resources.totals),
            cluster: await core.resources.cluster?.status()
        )
    }

    func clients() async throws -> [UInt8]? {
        guard let cluster = core.resources.cluster, let record = await cluster.ownRecord() else { return nil }
        async let others = cluster.clients()
        let own = ClusterServerClients(record, await HomeClients(of: core))
        let servers = (await others + [own]).sorted { $0.server < $1.server }
        return Array(try StatusJSON.encode(ClusterClients(now: Date(), servers: servers)))
    }

    func reload() async -> ReloadResult? {
        await queue.reload { error in
            core.resources.metrics.reloads.note(isApplied: false)
            core.logger.error(
                "not reloaded, and nothing has changed",
                metadata: ["problem": "\(error.userDescription)"]
            )
            return error.userDescription
        }
    }

    func kick(_ name: String) async -> Int? {
        let sessions = core.liveSessions.filter { $0.facts.matches(name) }
        let reason = Refusal(.goingAway, "kicked by the operator", retryAfter: Self.kickedFor)
        core.logger.notice(
            "kicked by the operator",
            metadata: ["client": "\(name)", "sessions": .number(sessions.count)]
        )
        for session in sessions { try? await session.end(reason).get() }
        return sessions.count
    }

    /// Spreads the renewals: ten clients a second, over at most half a minute. Each client dials and authenticates.
    func renew(_ name: String?) async -> RenewResult? {
        let sessions = core.liveSessions.filter { session in name.map { session.facts.matches($0) } ?? true }
        let seconds = UInt32(clamping: min(sessions.count / 10, 30))
        core.logger.notice(
            "clients are asked for another carrier",
            metadata: ["sessions": .number(sessions.count), "within_s": .number(seconds)]
        )
        let waiting = sessions.count { $0.waitsUntil != nil }
        for session in sessions { session.askForRenewal(within: seconds) }
        let asked = sessions.count - waiting
        let what = asked == 1 ? "1 session" : "\(asked) sessions"
        var report = "\(what) asked for another WebSocket within \(max(1, seconds)) s"
        if waiting > 0 { report += "; \(waiting) that have none at the moment were not asked" }
        return RenewResult(asked: sessions.count, report: report)
    }
}

extension ServerSession {
    /// The session's state for the operator.
    ///
    /// - Parameter isWhole: whether with its visitors and endings.
    func status(_ facts: SessionFacts, isWhole: Bool) -> SessionStatus {
        sessionLoop.countDrops()
        for statistics in allStatistics { statistics.countAll() }
        let traffic = allStatistics.reduce(into: Traffic()) { $0 += $1.traffic }
        return SessionStatus(
            number: facts.number,
            client: facts.client.escapedForDisplay(),
            name: facts.name.escapedForDisplay(),
            peer: carriers.origin.address.escapedForDisplay(),
            front: carriers.origin.frontAddress?.escapedForDisplay(),
            software: facts.software.escapedForDisplay(),
            version: Int(facts.version),
            sealedWith: facts.sealedWith,
            since: Date(timeIntervalSince1970: Double(facts.since)),
            roundTripMs: sessionLoop.roundTrip?.milliseconds,
            isDraining: isDraining,
            hasCarrier: sessionLoop.hasCarrier,
            withoutSince: ago(carriers.withoutCarrier),
            carrierSince: ago(sessionLoop.carrierAge),
            lastSeen: ago(sessionLoop.silence ?? carriers.withoutCarrier),
            lastLoss: carriers.lastLoss?.reason.escapedForDisplay(limit: 256),
            lastLossAt: carriers.lastLoss.map { Date(timeIntervalSince1970: Double($0.at)) },
            carriers: carriers.count,
            resumes: carriers.resumes,
            streams: sessionLoop.streamCount,
            queuedBytes: sessionLoop.waitingBytes.toSend,
            bufferedBytes: sessionLoop.waitingBytes.toDeliver,
            bytesToService: traffic.toService,
            bytesToVisitor: traffic.toVisitor,
            lanes: sessionLoop.laneStates.map { state in
                var status = LaneStatus(state, since: ago(state.age))
                status.peer = carriers.origins[state.lane]?.address.escapedForDisplay()
                return status
            },
            tunnels: tunnels(isWhole: isWhole),
            visitors: isWhole ? allStatistics.flatMap(VisitorStatus.all) : [],
            endings: isWhole ? EndingStatus.all(of: forwards.statistics) : []
        )
    }

    /// The tunnels that are public, and those that are wanted and are not.
    private func tunnels(isWhole: Bool) -> [TunnelStatus] {
        let refused = refusedTunnels.all.map { entry in
            TunnelStatus(
                tunnel: entry.request.tunnel,
                transport: entry.request.isForPath ? "unix" : entry.request.kind == .udp ? "udp" : "tcp",
                wanted: "\(PublicPlace(entry.request))".escapedForDisplay(),
                refusal: entry.reason.description.escapedForDisplay(limit: 512)
            )
        }
        var all = (statistics.map(TunnelStatus.init) + refused).sorted { $0.tunnel < $1.tunnel }
        if !isWhole { for index in all.indices { all[index].endings = [] } }
        return all
    }

    /// The time before now, in whole seconds as all times of a status.
    private func ago(_ time: Duration?) -> Date? {
        time.map { Date(timeIntervalSince1970: Double(WallClock.unixSeconds - max(0, $0.components.seconds))) }
    }
}
