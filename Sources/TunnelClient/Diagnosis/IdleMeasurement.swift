import Mux
import NIOCore
import TunnelCore

/// Finds out how long the path keeps an idle WebSocket, and whether it cuts one that is in use.
///
/// Each time has a session of its own, in which neither end sends anything. They run side by side, so the whole takes as
/// long as the longest.
struct IdleMeasurement {
    /// The times that are tried, in seconds: those at which boxes usually cut, with some in between.
    static let times = [20, 30, 45, 60, 90, 120, 180, 240, 300, 450, 600, 900, 1_200, 1_800, 2_700, 3_600]
    /// The longest time: the server is quiet for little more.
    static let longest = Duration.seconds(3_600)
    /// The time for a reply after the silence.
    static let replyTimeout = Duration.seconds(10)
    /// The time between two messages of the session that is in use.
    static let busyInterval = Duration.seconds(1)

    /// The outcome of one silence.
    enum Outcome: Sendable, Equatable {
        /// The WebSocket was there afterwards.
        case kept
        /// It was cut after so long, for this reason.
        case cut(Duration, String)
        /// It could not be measured.
        case unknown(String)
    }

    let dial: @Sendable () async throws -> ProbeSession
    /// Reports the time that has passed and the time of the whole.
    let onProgress: @Sendable (Duration, Duration) -> Void

    /// Measures silences of up to `limit`.
    func checks(upTo limit: Duration) async -> [DiagnosisCheck] {
        let limit = min(limit, Self.longest)
        let seconds = Int(limit.components.seconds)
        let silences = Self.times.filter { $0 < seconds } + [max(1, seconds)]
        let progress = Task {
            let begin = ContinuousClock.now
            while !Task.isCancelled {
                onProgress(begin.duration(to: .now), limit)
                try? await Task.sleep(for: .seconds(1))
            }
        }
        defer { progress.cancel() }
        async let age = inUse(for: limit)
        let outcomes = await withTaskGroup(of: (Int, Outcome).self) { group in
            for silence in silences { group.addTask { (silence, await outcome(of: .seconds(silence))) } }
            var outcomes: [Int: Outcome] = [:]
            for await (silence, outcome) in group { outcomes[silence] = outcome }
            return outcomes
        }
        return [
            Self.idle(outcomes.sorted { $0.key < $1.key }.map { (.seconds($0.key), $0.value) }),
            Self.age(await age, limit),
        ]
    }

    // MARK: Sessions

    private func outcome(of silence: Duration) async -> Outcome {
        await measure { session in
            let seconds = silence.components.seconds + 60
            guard await !session.text(of: "quiet \(seconds)").isEmpty else {
                return .unknown("the server does not keep quiet")
            }
            session.beQuiet(for: silence + .seconds(60))
            try? await Task.sleep(for: silence)
            return await answers(session) ? .kept : .cut(silence, "no reply afterwards")
        }
    }

    private func inUse(for time: Duration) async -> Outcome {
        await measure { session in
            let end = ContinuousClock.now + time
            while ContinuousClock.now < end, !Task.isCancelled {
                try? await Task.sleep(for: min(Self.busyInterval, ContinuousClock.now.duration(to: end)))
                guard await answers(session) else { return .cut(time, "no reply") }
            }
            return .kept
        }
    }

    /// Runs a body in a session of its own, and watches for the end of its carrier meanwhile.
    private func measure(_ body: @escaping @Sendable (ProbeSession) async -> Outcome) async -> Outcome {
        let session: ProbeSession
        do {
            session = try await dial()
        } catch {
            return .unknown("\((error as? DialError)?.answer ?? error.userDescription)")
        }
        let begin = ContinuousClock.now
        let outcome = await withTaskGroup(of: Outcome?.self) { group in
            group.addTask { await body(session) }
            group.addTask {
                let reason = await session.loss()
                return Task.isCancelled ? nil : .cut(begin.duration(to: .now), reason)
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            return first ?? .unknown("the measurement was cancelled")
        }
        await session.end()
        return outcome
    }

    private func answers(_ session: ProbeSession) async -> Bool {
        let promise = session.loop.makePromise(of: EchoMeter.Times.self)
        let meter = EchoMeter(count: 1, every: .seconds(1), promise)
        session.probe("echo", meter).whenComplete { _ in promise.succeed(EchoMeter.Times()) }
        let timer = session.loop.scheduleTask(in: TimeAmount(Self.replyTimeout)) {
            promise.succeed(EchoMeter.Times())
            meter.stop()
        }
        defer { timer.cancel() }
        return (try? await promise.futureResult.get())?.roundTrips.isEmpty == false
    }

    // MARK: Judgement

    /// The check of the silences, the shortest first.
    static func idle(_ outcomes: [(silence: Duration, outcome: Outcome)]) -> DiagnosisCheck {
        let kept = outcomes.last { $0.outcome == .kept }?.silence
        var cuts: [(time: Duration, reason: String)] = []
        for case (_, .cut(let time, let reason)) in outcomes { cuts.append((time, reason)) }
        guard let first = cuts.min(by: { $0.time < $1.time }) else {
            if let kept { return DiagnosisCheck("idle", .ok, "an idle WebSocket is kept for \(kept.shown)") }
            var reason = "nothing was measured"
            if case .unknown(let why)? = outcomes.first?.outcome { reason = why }
            return DiagnosisCheck("idle", .warn, reason, remedy: "run the doctor again")
        }
        let below = kept.map { ", and kept for \($0.shown)" } ?? ""
        let text = "an idle WebSocket is cut after \(first.time.shown) (\(first.reason))\(below)"
        let figures = ["cut_after_ms": first.time.milliseconds]
        guard first.time < .seconds(30) else {
            return DiagnosisCheck("idle", .ok, "\(text); the client's pings come every 20 s", figures: figures)
        }
        let remedy = "set ping_interval = \"\(max(1, Int(first.time / .seconds(2)))) s\" in [limits]"
        return DiagnosisCheck("idle", .warn, text, remedy: remedy, figures: figures)
    }

    /// The check of the session that was in use.
    static func age(_ outcome: Outcome, _ limit: Duration) -> DiagnosisCheck {
        switch outcome {
        case .kept:
            return DiagnosisCheck("age", .ok, "a WebSocket in use is kept for \(limit.shown)")
        case .cut(let time, let reason):
            return DiagnosisCheck(
                "age",
                .warn,
                "a WebSocket in use is cut after \(time.shown) (\(reason)); streams continue on the next one",
                remedy: "replace it in time with --max-carrier-age \(max(1, Int(time / .seconds(1) * 0.9)))s",
                figures: ["cut_after_ms": time.milliseconds]
            )
        case .unknown(let reason):
            return DiagnosisCheck("age", .warn, reason, remedy: "run the doctor again")
        }
    }
}
