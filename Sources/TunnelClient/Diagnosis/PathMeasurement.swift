import Mux
import NIOCore
import NIOPosix
import TunnelCore

/// Measures a session's path: latency, rates, and boxes that hold bytes back.
struct PathMeasurement {
    /// The length of the measurements.
    struct Extent: Sendable {
        /// Messages of the measurement of latency.
        var messages = 60
        /// The time between two of them.
        var interval = Duration.milliseconds(25)
        /// The time of each measurement of a rate.
        var rateTime = Duration.milliseconds(2_500)
        /// The time between two messages while a rate is measured.
        var loadedInterval = Duration.milliseconds(50)
    }

    /// A latency under load that users of a terminal notice.
    static let slow = Duration.milliseconds(500)

    /// Connections of the measurement of the first hop, and the time between two.
    static let (connections, pause) = (12, Duration.milliseconds(100))
    /// The time of all of them.
    static let connectingTime = Duration.milliseconds(2_500)

    let session: ProbeSession
    /// The other end of the session's TCP connection: the proxy's, or the server's.
    let firstHop: SocketAddress?
    /// What is there, for people.
    let firstHopName: String
    var extent = Extent()

    /// All checks, in order.
    func checks(_ onCheck: (DiagnosisCheck) -> Void) async {
        async let connects = connectTimes()
        let quiet = await echo(count: extent.messages, every: extent.interval)
        let first = await connects
        guard let median = PathFigures.quantile(quiet.roundTrips, 0.5) else {
            return onCheck(
                .failed(
                    "latency",
                    .unreachable,
                    "the server's echo does not answer",
                    remedy: "run the doctor again; if this remains, upgrade the server"
                )
            )
        }
        onCheck(latency(quiet, median, first))
        onCheck(buffering(quiet))
        for direction in [Direction.down, .up] { onCheck(await rate(direction, median)) }
    }

    enum Direction: String {
        case down = "rate down"
        case up = "rate up"
    }

    private func latency(_ times: EchoMeter.Times, _ median: Duration, _ first: [Duration]) -> DiagnosisCheck {
        let late = PathFigures.quantile(times.roundTrips, 0.99) ?? median
        var text = "p50 \(median.shown), p99 \(late.shown) to the server and back"
        var figures = ["p50_ms": median.milliseconds, "p99_ms": late.milliseconds]
        if let middle = PathFigures.quantile(first, 0.5), let end = PathFigures.quantile(first, 0.99) {
            text += "; p50 \(middle.shown), p99 \(end.shown) to \(firstHopName)"
            figures["first_hop_p50_ms"] = middle.milliseconds
            figures["first_hop_p99_ms"] = end.milliseconds
        }
        let lost = times.sent - times.roundTrips.count
        guard lost == 0 else {
            let remedy = "run it again beside a capture of the first hop: replies are late by more than a second"
            return DiagnosisCheck(
                "latency",
                .warn,
                "\(text); \(lost) replies are missing",
                remedy: remedy,
                figures: figures
            )
        }
        return DiagnosisCheck("latency", .ok, text, figures: figures)
    }

    private func buffering(_ times: EchoMeter.Times) -> DiagnosisCheck {
        guard let clump = PathFigures.clump(times.gaps, sentEvery: extent.interval) else {
            return DiagnosisCheck("buffering", .ok, "small messages arrive one by one")
        }
        let hold = PathFigures.quantile(times.gaps, 0.95) ?? .zero
        return DiagnosisCheck(
            "buffering",
            .warn,
            "small messages arrive \(Int(clump.rounded())) at a time, every \(hold.shown): a box on the way gathers them",
            remedy: "ask for an exception from content inspection for this server; in a front, switch buffering off",
            figures: ["together": clump, "hold_ms": hold.milliseconds]
        )
    }

    private func rate(_ direction: Direction, _ quiet: Duration) async -> DiagnosisCheck {
        let count = Int(extent.rateTime / extent.loadedInterval)
        let promise = session.loop.makePromise(of: [RateSample].self)
        let ending: EventLoopFuture<SocketState.Ending>
        switch direction {
        case .down: ending = session.probe("source", DownloadMeter(for: extent.rateTime, promise))
        case .up: ending = session.probe("sink", UploadMeter(for: extent.rateTime, promise))
        }
        ending.whenComplete { _ in promise.succeed([]) }
        let times = await echo(count: count, every: extent.loadedInterval)
        let samples = (try? await promise.futureResult.get()) ?? []
        guard let rate = PathFigures.rate(samples) else {
            let busy = (try? await ending.get()) == .resetByOtherEnd(.busy)
            let text = busy ? "the server has no room for it now" : "too few bytes arrived to tell"
            return DiagnosisCheck(direction.rawValue, .warn, text, remedy: "run the doctor again later")
        }
        let loaded = PathFigures.quantile(times.roundTrips, 0.5) ?? .zero
        let text = "\(shownRate(rate)); latency meanwhile p50 \(loaded.shown)"
        let figures = ["bytes_per_second": rate.rounded(), "loaded_p50_ms": loaded.milliseconds]
        guard loaded > Self.slow, loaded > quiet * 4 else {
            return DiagnosisCheck(direction.rawValue, .ok, text, figures: figures)
        }
        let held = Int(min(rate * (loaded / .seconds(1)) / 1_024, 1e9))
        return DiagnosisCheck(
            direction.rawValue,
            .warn,
            "\(text): a box on the way holds about \(held) KiB",
            remedy: "limit the client's bandwidth to a little below the path's (bandwidth in [[tunnel]] or [[client]])",
            figures: figures
        )
    }

    private func echo(count: Int, every interval: Duration) async -> EchoMeter.Times {
        let promise = session.loop.makePromise(of: EchoMeter.Times.self)
        let meter = EchoMeter(count: count, every: interval, promise)
        let ending = session.probe("echo", meter)
        ending.whenComplete { _ in promise.succeed(EchoMeter.Times()) }
        let timer = session.loop.scheduleTask(in: TimeAmount(interval * count + .seconds(1))) { meter.stop() }
        defer { timer.cancel() }
        return (try? await promise.futureResult.get()) ?? EchoMeter.Times()
    }

    /// The times of TCP connections to the first hop. Its kernel answers each one, so they show no other delay.
    private func connectTimes() async -> [Duration] {
        guard let firstHop else { return [] }
        var times: [Duration] = []
        let end = ContinuousClock.now + Self.connectingTime
        for _ in 0..<Self.connections where ContinuousClock.now < end {
            let begin = ContinuousClock.now
            let bootstrap = ClientBootstrap(group: session.loop).connectTimeout(.seconds(1))
            guard let channel = try? await bootstrap.connect(to: firstHop).get() else { break }
            times.append(begin.duration(to: .now))
            channel.close(promise: nil)
            try? await Task.sleep(for: Self.pause)
        }
        return times
    }
}
