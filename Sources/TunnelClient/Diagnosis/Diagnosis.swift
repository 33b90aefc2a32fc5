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
        guard let (session, way) = await reach(context, hops, on: loop, onCheck) else {
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
                return try await ProbeSession.dial(way, quiet, context, on: loop)
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
    ) async -> (ProbeSession, DialWay)? {
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
        for (index, way) in ways.enumerated() {
            let proxy: ProxyURL? = if case .proxy(let url) = way.choice { url } else { nil }
            let checks = HopChecks(trust: configuration.trust, proxy: proxy, now: WallClock.unixSeconds)
            onCheck(DiagnosisCheck("way", .ok, way.description))
            // A password that a proxy has refused is not tried again: accounts get locked.
            let permission = plan.permission(for: way, configuration, now: .now)
            if case .denied(let refusal) = permission {
                onCheck(HopChecks.check(refusal))
                continue
            }
            var withholds = false
            if case .withoutCredentials = permission { withholds = true }
            hops.begin { onCheck(checks.check($0)) }
            let result: Result<ProbeSession, DialError>
            do throws(DialError) {
                result = .success(
                    try await ProbeSession.dial(way, configuration, context, withholdsCredentials: withholds, on: loop)
                )
            } catch {
                result = .failure(error)
            }
            await hops.finish()
            switch result {
            case .success(let session):
                return (session, way)
            case .failure(let error):
                if error.isPasswordRefusal { plan.refused(way, error, configuration, now: .now) }
                var check = HopChecks.check(error)
                if index < ways.count - 1 {
                    // The client tries the next way too.
                    check.verdict = .warn
                    check.consequence = nil
                }
                onCheck(check)
            }
        }
        return nil
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
        let ports = configuration.tunnels.filter { $0.port > 0 }.map(SessionChecks.portName).prefix(32)
        let text = session.loop.makePromise(of: String.self)
        let asked = WallClock.unixMilliseconds
        let request = ports.isEmpty ? "facts" : "facts \(ports.joined(separator: ","))"
        session.probe(request, TextMeter(text)).whenComplete { _ in text.succeed("") }
        let facts = ServerFacts((try? await text.futureResult.get()) ?? "")
        let answered = WallClock.unixMilliseconds
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
