import Logging
import Mux
import NIOCore
import NIOPosix
import ProxyConnect
import Synchronization
import TunnelCore

/// Finds out what is wrong between a client and its server, hop by hop, and how good the path is.
///
/// It dials as the client would, with an instance of its own. It claims no port and moves only its own bytes, so that it
/// disturbs no running client.
public struct Diagnosis: Sendable {
    /// Ports that one probe asks about: their names must fit into its request.
    private static let portsOfProbe = 20
    /// The time for a session, over all ways: a person waits, and the measurements follow.
    static let reachTime = Duration.seconds(11)

    private let configuration: ClientConfiguration
    private let idle: Duration?
    private let group: any EventLoopGroup
    private let logger: Logger
    /// The length of the measurements. Set by tests alone.
    var extent = PathMeasurement.Extent()

    /// Prepares a diagnosis.
    ///
    /// - Parameters:
    ///   - configuration: the client's, whose tunnels and forwards are judged and not opened.
    ///   - idle: up to which time the path is left idle; nil for not at all.
    public init(
        _ configuration: ClientConfiguration,
        idle: Duration? = nil,
        eventLoopGroup group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        logger: Logger
    ) {
        var configuration = configuration
        configuration.instance = SecureRandom.bytes(32)
        configuration.name = "doctor"
        self.configuration = configuration
        self.idle = idle
        self.group = group
        self.logger = logger
    }

    /// Runs all checks.
    ///
    /// - Parameters:
    ///   - onProgress: called each second of a measurement of idle times with the time that has passed, and the whole.
    ///   - onCheck: called with each check as soon as it is made.
    public func run(
        onProgress: @escaping @Sendable (Duration, Duration) -> Void = { _, _ in },
        onCheck: @escaping @Sendable (DiagnosisCheck) -> Void
    ) async {
        let hops = HopList()
        let context = DialContext(configuration, logger: logger) { hops.append($0) }
        let loop = group.next()
        guard let (session, way, withholds) = await reach(context, hops, on: loop, onCheck) else {
            return await checkServices(on: loop, onCheck)
        }
        await examine(session, hops.all, onCheck)
        await checkServices(on: loop, onCheck)
        await checkDestinations(session, onCheck)
        let path = PathMeasurement(
            session: session,
            firstHop: hops.all.lazy.compactMap(\.address).first,
            firstHopName: way.choice == .direct ? "the server's machine" : "the proxy",
            extent: extent
        )
        await path.checks(onCheck)
        await session.end()
        guard let idle else { return }
        let quiet = Self.withoutPings(configuration)
        let measurement = IdleMeasurement(
            dial: {
                let context = DialContext(quiet, logger: logger) { _ in }
                return try await ProbeSession.dial(way, quiet, context, withholdsCredentials: withholds, on: loop)
            },
            onProgress: onProgress
        )
        for check in await measurement.checks(upTo: idle) { onCheck(check) }
    }

    // MARK: Hops

    /// Tries each way to each server, and reports its hops.
    private func reach(
        _ context: DialContext,
        _ hops: HopList,
        on loop: any EventLoop,
        _ onCheck: @escaping @Sendable (DiagnosisCheck) -> Void
    ) async -> (ProbeSession, DialWay, withholdsCredentials: Bool)? {
        if let problem = prepareTLS(context) {
            onCheck(problem)
            return nil
        }
        let ways: [DialWay]
        var plan = DialPlan()
        do throws(DialError) {
            ways = try await plan.ways(configuration)
        } catch {
            onCheck(HopChecks.check(error))
            return nil
        }
        let configuration = configuration.inTime(ways: ways.count)
        let end = ContinuousClock.now + Self.reachTime
        for (index, way) in ways.enumerated() where ContinuousClock.now < end {
            let proxy: ProxyURL? = if case .proxy(let url) = way.choice { url } else { nil }
            let checks = HopChecks(trust: configuration.trust, proxy: proxy, now: WallClock.unixSeconds)
            onCheck(DiagnosisCheck("way", .ok, way.description))
            // A password that a proxy has refused is not tried again: accounts get locked.
            let permission = plan.permission(for: way, configuration, now: .now)
            let isLast = index == ways.count - 1
            if case .denied(let refusal) = permission {
                onCheck(HopChecks.check(refusal, isLast: isLast))
                continue
            }
            var withholds = false
            if case .withoutCredentials = permission { withholds = true }
            hops.begin { onCheck(checks.check($0)) }
            let withheld = withholds
            let result = await Self.dial(until: end) { () throws(DialError) in
                try await ProbeSession.dial(way, configuration, context, withholdsCredentials: withheld, on: loop)
            } late: {
                HopChecks.late(way, after: hops.all.last, configuration)
            }
            await hops.finish()
            switch result {
            case .success(let session):
                return (session, way, withheld)
            case .failure(let error):
                if error.isPasswordRefusal { plan.refused(way, error, configuration, now: .now) }
                onCheck(HopChecks.check(error, isLast: isLast))
            }
        }
        return nil
    }

    /// Dials, and gives up at a time.
    private static func dial(
        until end: ContinuousClock.Instant,
        _ dial: @escaping @Sendable () async throws(DialError) -> ProbeSession,
        late: @escaping @Sendable () -> DialError
    ) async -> Result<ProbeSession, DialError> {
        await withTaskGroup(of: Result<ProbeSession, DialError>?.self) { group in
            group.addTask {
                do throws(DialError) {
                    return .success(try await dial())
                } catch {
                    return .failure(error)
                }
            }
            group.addTask {
                try? await Task.sleep(until: end, clock: .continuous)
                return nil
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            if let first { return first }
            let error = late()
            // A session that came at the last moment is not left behind.
            if case .success(let session)?? = await group.next() { await session.end() }
            return .failure(error)
        }
    }

    private func prepareTLS(_ context: DialContext) -> DiagnosisCheck? {
        guard configuration.endpoints.contains(where: \.isSecure) else { return nil }
        do {
            try context.tls.prepare()
            return nil
        } catch let problem as CertificateProblem {
            return .failed("trust", .configuration, problem.sentence(of: "the server"))
        } catch {
            let reason = TLSIdentity.problem(of: configuration.tls) ?? error.userDescription
            return .failed("trust", .configuration, reason)
        }
    }

    // MARK: The session

    private func examine(
        _ session: ProbeSession,
        _ hops: [HopFact],
        _ onCheck: @escaping @Sendable (DiagnosisCheck) -> Void
    ) async {
        let ports = configuration.tunnels.filter { $0.port > 0 }.map(SessionChecks.portName)
        let asked = WallClock.unixMilliseconds
        var facts = ServerFacts(await session.text(of: "facts"))
        let answered = WallClock.unixMilliseconds
        for start in stride(from: 0, to: ports.count, by: Self.portsOfProbe) where !facts["software"].isEmpty {
            let some = ports[start..<min(start + Self.portsOfProbe, ports.count)]
            facts.add(portsOf: ServerFacts(await session.text(of: "facts \(some.joined(separator: ","))")))
        }
        let checks = SessionChecks(configuration: configuration, facts: facts, hops: hops)
        guard !facts["software"].isEmpty else {
            return onCheck(
                DiagnosisCheck(
                    "facts",
                    .warn,
                    "the server does not answer",
                    remedy: "upgrade the server, or run this again"
                )
            )
        }
        if let clock = checks.clock(asked: asked, answered: answered) { onCheck(clock) }
        if let inspection = checks.inspection() { onCheck(inspection) }
        onCheck(checks.front())
        for check in checks.rights() { onCheck(check) }
    }

    private func checkServices(
        on loop: any EventLoop,
        _ onCheck: @escaping @Sendable (DiagnosisCheck) -> Void
    ) async {
        let services = ServiceChecks(loop: loop)
        let checks = await Self.sideBySide(configuration.tunnels) { await services.check($0) }
        for check in checks { onCheck(check) }
    }

    private func checkDestinations(
        _ session: ProbeSession,
        _ onCheck: @escaping @Sendable (DiagnosisCheck) -> Void
    ) async {
        let destinations = configuration.forwards.compactMap { forward -> Destination? in
            guard forward.transport == .tcp, case .destination(let destination) = forward.target else { return nil }
            return destination
        }
        let checks = await Self.sideBySide(destinations) { destination in
            SessionChecks.destination(destination, await session.reach(destination))
        }
        for check in checks { onCheck(check) }
    }

    /// Makes a check of each item, all at the same time, and returns them in the order of the items.
    private static func sideBySide<Item: Sendable>(
        _ items: [Item],
        _ check: @escaping @Sendable (Item) async -> DiagnosisCheck?
    ) async -> [DiagnosisCheck] {
        await withTaskGroup(of: (Int, DiagnosisCheck?).self) { group in
            for (index, item) in items.enumerated() { group.addTask { (index, await check(item)) } }
            var checks: [Int: DiagnosisCheck] = [:]
            for await (index, check) in group { checks[index] = check }
            return items.indices.compactMap { checks[$0] }
        }
    }

    /// A configuration whose sessions send no ping by themselves.
    private static func withoutPings(_ configuration: ClientConfiguration) -> ClientConfiguration {
        var configuration = configuration
        configuration.limits.pingInterval = IdleMeasurement.longest + .seconds(60)
        return configuration
    }
}

extension ClientConfiguration {
    /// The same with shorter timeouts if there are several ways, since a person waits.
    fileprivate func inTime(ways: Int) -> ClientConfiguration {
        var configuration = self
        let share = max(.seconds(3), .seconds(10) / max(1, ways))
        configuration.clientLimits.hopTimeout = min(clientLimits.hopTimeout, share)
        return configuration
    }
}

extension HopFact {
    /// The address that was connected to; nil for other hops.
    fileprivate var address: SocketAddress? {
        guard case .connected(let text) = content, let colon = text.lastIndex(of: ":"),
            let port = Int(text[text.index(after: colon)...])
        else { return nil }
        return try? SocketAddress(ipAddress: text[..<colon].filter { $0 != "[" && $0 != "]" }, port: port)
    }
}
