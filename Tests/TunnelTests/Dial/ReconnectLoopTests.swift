import Logging
import Mux
import ProxyConnect
import Synchronization
import Testing

@testable import TunnelClient
@testable import TunnelCore

/// The reconnect loop with a scripted dialler and a simulated clock.
@Suite("A client that reconnects")
struct ReconnectLoopTests {
    /// The result of a scenario.
    private struct RunResult {
        /// The dials and other notes, each with its time in seconds.
        let notes: [String]
        /// The end of the run.
        let end: String
        let log: CollectedLog
    }

    /// Runs the loop against a script.
    ///
    /// - Parameters:
    ///   - unit: the value of each random number.
    ///   - operatorRenews: the numbers of the waits that the operator ends.
    ///   - isStopping: whether the client is stopping.
    private static func run(
        _ script: [Outcome],
        unit: Double = 0,
        servers: [String] = ["ws://a"],
        operatorRenews: Set<Int> = [],
        isStopping: Bool = false,
        _ configure: (inout ClientConfiguration) -> Void = { _ in }
    ) async throws -> RunResult {
        var configuration = ClientConfiguration(
            endpoints: try servers.map { text in try EndpointURL(text) },
            tunnels: [],
            token: nil,
            instance: []
        )
        configure(&configuration)
        let theWaits = Mutex<DialWaits?>(nil)
        let time = FakeTime(unit: unit) { number in
            guard operatorRenews.contains(number) else { return }
            theWaits.withLock { $0 }?.end()
            try Task.checkCancellation()
        }
        let waits = DialWaits { try await time.sleep($0) }
        theWaits.withLock { $0 = waits }
        let log = CollectedLog()
        let task = Task { [configuration] in
            var loop = ReconnectLoop(
                dialler: FakeDialler(script, time),
                configuration: configuration,
                waits: waits,
                progress: ClientProgress(tunnels: []),
                time: time.reconnectTime,
                logger: log.logger
            ) { _ in }
            try await loop.run { session in
                if let session { time.note("session \(session.name)", at: session.begin) }
                return !isStopping
            }
        }
        let end: String
        do {
            try await task.value
            end = "returned"
        } catch ClientError.refused(let why) {
            end = "refused: \(why)"
        } catch ClientError.notOurs(let why) {
            end = "not ours: \(why)"
        } catch ClientError.unreachable(let why) {
            end = "unreachable: \(why)"
        } catch ClientError.configuration(let why) {
            end = "configuration: \(why)"
        }
        return RunResult(notes: time.notes, end: end, log: log)
    }

    private static let away = DialError.fixture(.connect, "away", .retry)
    private static let refused = DialError.fixture(.session, "wrong token", .refused)

    /// An error with a requested pause.
    private static func busy(_ seconds: Int, _ disposition: DialError.Disposition = .retry) -> DialError {
        var error = DialError.fixture(.session, "busy", disposition)
        error.retryAfter = seconds
        return error
    }

    // MARK: Servers that stop

    @Test("If the server is stopping, the next session begins beside the first one, after the pause that it asks for")
    func successor() async throws {
        for (pause, time) in [(nil, "10.0"), (3, "13.0")] as [(UInt32?, String)] {
            let result = try await Self.run([.begins([.goingAway(after: 10, retryAfter: pause)]), .begins([.over])])
            #expect(result.notes == ["0.0 dial a", "0.0 session 1", "\(time) dial a", "\(time) session 2"])
            #expect(result.end == "refused: over")
            #expect(result.log.count("warning") == 0)
        }
    }

    @Test(
        "While no other server answers, the session of the one that stops goes on, and the run's retries do not count"
    )
    func noSuccessor() async throws {
        let failures = [Outcome.fails(Self.away), .fails(Self.refused), .fails(Self.busy(4))]
        let result = try await Self.run([.begins([.goingAway(after: 10)])] + failures + [.begins([.over])]) {
            ($0.maximumRetries, $0.exitsOnRefusal) = (1, true)
        }
        let times = result.notes.filter { $0.contains("dial") }.map { $0.prefix { $0 != " " } }
        #expect(times == ["0.0", "10.0", "10.0", "10.0", "14.0"])
        #expect(result.end == "refused: over" && result.log.count("warning") == 0)
    }

    @Test("A session that ends at once after its server began to stop, or a run without retries, has no dial beside it")
    func endsAtOnce() async throws {
        let ending = [SessionEvent.goingAway(after: 10), .ended(after: 0, retryAfter: 1)]
        let result = try await Self.run([.begins(ending), .begins([.over])])
        #expect(result.notes == ["0.0 dial a", "0.0 session 1", "11.0 dial a", "11.0 session 2"])
        let last = try await Self.run([.begins([.goingAway(after: 10), .ended(after: 5)])]) { $0.maximumRetries = 0 }
        #expect(last.notes == ["0.0 dial a", "0.0 session 1"] && last.end == "unreachable: session lost: ended")
    }

    // MARK: Lost carriers

    @Test("A lost carrier is dialled again at once, but at most twice a second, and the session continues")
    func lostCarrier() async throws {
        let result = try await Self.run([
            .begins([.lost(after: 60)]), .resumes([.lost(after: 0.1)]), .resumes([.over]),
        ])
        #expect(result.notes == ["0.0 dial a", "0.0 session 1", "60.0 dial a for 1", "60.5 dial a for 1"])
        #expect(result.end == "refused: over")
        #expect(result.log.count("carrier lost; dialling another one for the session") == 2)
    }

    @Test("A loss that is reported after the carrier was replaced causes no dial")
    func lateLoss() async throws {
        let result = try await Self.run([.begins([.lost(after: 60)]), .resumes([.lateLoss, .over])])
        #expect(result.notes == ["0.0 dial a", "0.0 session 1", "60.0 dial a for 1"])
    }

    @Test("Without a carrier the dials back off with jitter, up to 30 s", arguments: [0.0, 1.0])
    func backoffWithSession(unit: Double) async throws {
        let failures = Array(repeating: Outcome.fails(Self.away), count: 8)
        let result = try await Self.run([.begins([.lost(after: 10)])] + failures + [.resumes([.over])], unit: unit)
        let times = result.notes.filter { $0.contains("for 1") }.map { $0.prefix { $0 != " " } }
        #expect(
            times
                == (unit == 0
                    ? ["10.0", "10.5", "11.0", "11.5", "12.0", "12.5", "13.0", "13.5", "14.0"]
                    : ["10.0", "10.5", "11.5", "13.5", "17.5", "25.5", "41.5", "71.5", "101.5"])
        )
        // A repeated failure is logged at the first, second, fourth and eighth time.
        #expect(result.log.count("warning : connect: away") == 4)
    }

    @Test("Two carriers cut after the same silence lead to more pings, and two cut at the same age to renewals")
    func pathProfile() async throws {
        let idle = try await Self.run([
            .begins([.lost(after: 12, idle: 10)]), .resumes([.lost(after: 12, idle: 10)]), .resumes([.over]),
        ])
        #expect(idle.notes.contains("24.0 maintain 1: ping 5.0, renewal never"), "\(idle.notes)")
        let old = try await Self.run([
            .begins([.lost(after: 1_000)]), .resumes([.lost(after: 1_000)]), .resumes([.over]),
        ])
        #expect(old.notes.contains("2000.0 maintain 1: ping usual, renewal 900.0"), "\(old.notes)")
    }

    @Test("A session unknown to the server is replaced by a new one on the same carrier")
    func forgotten() async throws {
        let result = try await Self.run([
            .begins([.lost(after: 60)]), .forgotten([.lost(after: 30)]), .resumes([.over]),
        ])
        #expect(
            result.notes == [
                "0.0 dial a", "0.0 session 1", "60.0 dial a for 1", "60.0 session 2", "90.0 dial a for 2",
            ]
        )
        #expect(result.log.count("did not know the session any more") == 1)
    }

    // MARK: Failed dials

    @Test("Failed dials back off with full jitter from 0.5 s to 30 s", arguments: [0.0, 0.5, 1.0])
    func backoff(unit: Double) async throws {
        let failures = Array(repeating: Outcome.fails(Self.away), count: 8)
        let result = try await Self.run(failures + [.begins([.over])], unit: unit)
        let times = result.notes.compactMap { $0.hasSuffix("dial a") ? Double($0.prefix { $0 != " " }) : nil }
        let waits = zip(times.dropFirst(), times).map { $0 - $1 }
        // The minimum wait is the spacing of two dials.
        #expect(waits == [0.5, 1, 2, 4, 8, 16, 30, 30].map { max(0.5, $0 * unit) })
    }

    @Test("A session that ends is replaced at once, or after a wait if the server broke the protocol")
    func endedSession() async throws {
        let result = try await Self.run(
            [.begins([.ended(after: 60)]), .begins([.ended(after: 60, isViolation: true)]), .begins([.over])],
            unit: 1
        )
        #expect(
            result.notes == [
                "0.0 dial a", "0.0 session 1", "60.0 dial a", "60.0 session 2", "120.5 dial a", "120.5 session 3",
            ]
        )
        #expect(result.log.count("session lost; dialling again") == 2)
    }

    @Test("A requested pause is obeyed up to 5 min, and up to 3 s while a session waits")
    func retryAfter() async throws {
        let first = try await Self.run([.fails(Self.busy(7)), .fails(Self.busy(9_999)), .begins([.over])])
        #expect(first.notes == ["0.0 dial a", "7.0 dial a", "307.0 dial a", "307.0 session 1"])
        let lost = try await Self.run([
            .begins([.lost(after: 60, retryAfter: 5)]), .fails(Self.busy(60)), .resumes([.over]),
        ])
        #expect(lost.notes.dropFirst(2) == ["65.0 dial a for 1", "68.0 dial a for 1"])
        let ended = try await Self.run([.begins([.ended(after: 60, retryAfter: 5)]), .begins([.over])])
        #expect(ended.notes.dropFirst(2) == ["65.0 dial a", "65.0 session 2"])
    }

    @Test("A pause that protects an account is obeyed in full, even if a session waits")
    func lockout() async throws {
        var error = Self.busy(300)
        error.waitReason = "further tries may lock the account"
        let result = try await Self.run([.begins([.lost(after: 60)]), .fails(error), .resumes([.over])])
        #expect(result.notes.dropFirst(2) == ["60.0 dial a for 1", "360.0 dial a for 1"])
        #expect(result.log.count("why=further tries may lock the account") == 1)
    }

    @Test("maximumRetries limits the dials since the last session, and 0 means one dial")
    func maximumRetries() async throws {
        let failures = Array(repeating: Outcome.fails(Self.away), count: 9)
        for limit in [0, 1, 3] {
            let result = try await Self.run(failures) { $0.maximumRetries = limit }
            #expect(result.notes.count == limit + 1)
            #expect(result.end.hasPrefix("unreachable: ") && result.end.hasSuffix("away"))
        }
        let script = [.fails(Self.away), .begins([.ended(after: 60)])] + failures
        let second = try await Self.run(script) { $0.maximumRetries = 2 }
        #expect(second.notes.count { $0.contains("dial") } == 2 + 3)
    }

    @Test("Servers of other sessions count for no retry, and the log mentions them once until a dial has worked")
    func serversInUse() async throws {
        var inUse = DialError.fixture(.session, "in use", .retry)
        inUse.isServerInUse = true
        let five = Array(repeating: Outcome.fails(inUse), count: 5)
        let script = five + [.begins([.ended(after: 60)])] + five + [.begins([.over])]
        let result = try await Self.run(script, unit: 1) { $0.maximumRetries = 2 }
        #expect(result.end == "refused: over")
        #expect(result.notes.prefix(5).map { $0.prefix { $0 != " " } } == ["0.0", "0.5", "1.5", "3.5", "7.5"])
        #expect(result.log.count("notice no further server answers") == 2)
        #expect(result.log.count("warning") == 1, "the end of the session: \(result.log.text)")
    }

    @Test("maximumRetries of 0 ends the run when the carrier or the session is lost")
    func noRetries() async throws {
        let lost = try await Self.run([.begins([.lost(after: 1)])]) { $0.maximumRetries = 0 }
        #expect(lost.end == "unreachable: session lost: cut" && lost.notes.count == 2)
        let ended = try await Self.run([.begins([.ended(after: 1)])]) { $0.maximumRetries = 0 }
        #expect(ended.end == "unreachable: session lost: ended" && ended.notes.count == 2)
    }

    // MARK: Refusals

    @Test(
        "A refusal at first ends the run, with the error of its kind",
        arguments: [
            (.refused, "refused"), (.refusedAtFirst, "refused"), (.notOurs, "not ours"), (.notOursAtFirst, "not ours"),
            (.configuration, "configuration"),
        ] as [(DialError.Disposition, String)]
    )
    func refusedAtFirst(disposition: DialError.Disposition, kind: String) async throws {
        let result = try await Self.run([.fails(.fixture(.session, "no", disposition))])
        #expect(result.end == "\(kind): : session: no" && result.notes == ["0.0 dial a"])
    }

    @Test(
        "Another key of the server ends the run, also while a session that has worked waits",
        arguments: [false, true]
    )
    func keyChange(hasWorked: Bool) async throws {
        var error = Self.refused
        error.isKeyChange = true
        let earlier: [Outcome] = hasWorked ? [.begins([.lost(after: 20)])] : []
        let result = try await Self.run(earlier + [.fails(error), .begins([.over])])
        #expect(result.end == "refused: \(error)")
        #expect(result.notes.count { $0.contains(" dial ") } == earlier.count + 1)
    }

    @Test("Once a session has worked, a refusal is retried after a minute, and then more slowly, up to 15 min")
    func refusedLater() async throws {
        let refusals = Array(repeating: Outcome.fails(Self.refused), count: 6)
        let result = try await Self.run([.begins([.ended(after: 10)])] + refusals + [.begins([.over])])
        let times = result.notes.compactMap { $0.hasSuffix("dial a") ? Double($0.prefix { $0 != " " }) : nil }
        #expect(zip(times.dropFirst(2), times.dropFirst()).map { $0 - $1 } == [60, 120, 240, 480, 900, 900])
    }

    @Test(
        "A refusal after a session ends the run if it is configured, or if it is about a password",
        arguments: [true, false]
    )
    func permanentRefusal(exitsOnRefusal: Bool) async throws {
        var error = exitsOnRefusal ? Self.refused : .fixture(.proxy, "407", .refused)
        error.isPasswordRefusal = !exitsOnRefusal
        let result = try await Self.run([.begins([.ended(after: 10)]), .fails(error)]) {
            $0.exitsOnRefusal = exitsOnRefusal
        }
        #expect(result.end.hasPrefix("refused: ") && result.notes.count { $0.contains("dial") } == 2)
    }

    @Test("After a session has worked, a foreign server and a refusal are retried")
    func lateRefusalAtFirst() async throws {
        for disposition in [DialError.Disposition.notOurs, .notOursAtFirst, .refusedAtFirst] {
            let error = DialError.fixture(.upgrade, "no", disposition)
            let result = try await Self.run([.begins([.ended(after: 10)]), .fails(error), .begins([.over])])
            #expect(result.end == "refused: over", "\(disposition)")
        }
    }

    // MARK: Renewals

    @Test("A carrier is renewed while it lives")
    func renewal() async throws {
        let result = try await Self.run([.begins([.renewal(after: 60)]), .resumes([.over])])
        #expect(result.notes == ["0.0 dial a", "0.0 session 1", "60.0 dial a for 1"])
        #expect(result.log.count("carrier lost") == 0)
    }

    @Test("A failed renewal is tried again, and the carrier stays in use")
    func failedRenewal() async throws {
        let result = try await Self.run(
            [.begins([.renewal(after: 60)]), .fails(Self.away), .fails(Self.away), .resumes([.over])],
            unit: 1
        )
        #expect(result.notes.dropFirst(2) == ["60.0 dial a for 1", "60.5 dial a for 1", "61.5 dial a for 1"])
        #expect(result.log.count("the present WebSocket stays in use") == 2)
    }

    @Test("A refused renewal is not tried again, and the carrier stays in use until its end")
    func refusedRenewal() async throws {
        let result = try await Self.run([
            .begins([.renewal(after: 60)]), .fails(Self.refused, [.ended(after: 3_600)]), .begins([.over]),
        ])
        #expect(
            result.notes == [
                "0.0 dial a", "0.0 session 1", "60.0 dial a for 1", "3660.0 dial a", "3660.0 session 2",
            ]
        )
    }

    @Test("Another key at a renewal leaves the carrier in use, and ends the run once it is lost")
    func keyChangeAtRenewal() async throws {
        var error = Self.refused
        error.isKeyChange = true
        let result = try await Self.run([
            .begins([.renewal(after: 60)]), .fails(error, [.lost(after: 3_600)]), .fails(error),
        ])
        #expect(result.end == "refused: \(error)")
        #expect(result.notes == ["0.0 dial a", "0.0 session 1", "60.0 dial a for 1", "3660.0 dial a for 1"])
        #expect(result.log.count("the present WebSocket stays in use") == 1)
    }

    @Test("While a session waits for a carrier, refusals are retried as usual: the path may have given them")
    func refusalsWithSession() async throws {
        let refusals = (0..<4).map { Outcome.fails($0 % 2 == 0 ? Self.refused : .fixture(.upgrade, "401", .notOurs)) }
        let result = try await Self.run(
            [.begins([.lost(after: 20)])] + refusals + [.resumes([.over])],
            unit: 1
        )
        let times = result.notes.compactMap { $0.hasSuffix("dial a for 1") ? Double($0.prefix { $0 != " " }) : nil }
        #expect(zip(times.dropFirst(), times).map { $0 - $1 } == [0.5, 1, 2, 4], "\(result.notes)")
    }

    @Test("Each session gets a renewal age, reduced by up to a tenth")
    func maximumAge() async throws {
        for (unit, age) in [(0.0, "300.0"), (1.0, "270.0")] {
            let result = try await Self.run([.begins([.over])], unit: unit) { $0.maximumCarrierAge = .seconds(300) }
            #expect(result.notes.contains("0.0 maintain 1: ping usual, renewal \(age)"), "\(result.notes)")
        }
    }

    // MARK: The operator

    @Test("A request of the operator ends a wait, and the next dial begins at once")
    func operatorEndsWait() async throws {
        let script = [Outcome.fails(Self.busy(60)), .fails(Self.busy(60)), .begins([.over])]
        let result = try await Self.run(script, operatorRenews: [2])
        #expect(result.notes == ["0.0 dial a", "60.0 dial a", "60.0 dial a", "60.0 session 1"])
    }

    @Test("A request of the operator ends the wait of a session, and the old wait causes no second dial")
    func operatorEndsWaitOfSession() async throws {
        let result = try await Self.run([
            .begins([.operatorRenews, .lost(after: 60, retryAfter: 200)]), .resumes([.over]),
        ])
        #expect(result.notes.dropFirst(2) == ["60.0 dial a for 1"])
        #expect(result.end == "refused: over")
    }

    @Test("A proxy that refused the credentials is skipped until the operator ends a wait")
    func operatorClearsRefusal() async throws {
        let proxies = try ["p:1", "none"].map { text in try ProxyChoice(argument: text) }
        var refusal = DialError.fixture(.proxy, "407", .refused)
        refusal.isPasswordRefusal = true
        let script = [Outcome.fails(refusal), .fails(Self.away), .fails(Self.away), .begins([.over])]
        for (waits, dials) in [(Set<Int>(), 4), ([1], 4), ([2], 4)] {
            let result = try await Self.run(script, operatorRenews: waits) { $0.proxies = { _ in proxies } }
            #expect(result.notes.count { $0.contains("dial") } == dials)
            // There are two ways at first, and then only the direct one, unless the operator ends a wait.
            let times = result.notes.filter { $0.contains("dial") }.map { $0.prefix { $0 != " " } }
            switch waits {
            case []: #expect(times == ["0.0", "0.0", "0.5", "1.0"])
            case [1]: #expect(times == ["0.0", "0.0", "0.0", "0.0"])
            default: #expect(times == ["0.0", "0.0", "0.5", "0.5"])
            }
        }
    }

    // MARK: Several servers

    @Test("Several servers are dialled in turn, and the last successful one is first the next time")
    func severalServers() async throws {
        let script = [Outcome.fails(Self.away), .begins([.ended(after: 60)]), .fails(Self.away), .begins([.over])]
        let result = try await Self.run(script, servers: ["ws://a", "ws://b"])
        #expect(
            result.notes == [
                "0.0 dial a", "0.0 dial b", "0.0 session 1", "60.0 dial b", "60.0 dial a", "60.0 session 2",
            ]
        )
    }

    @Test("For 15 s a session without a carrier is resumed only at its own server, and then at any")
    func soleServer() async throws {
        let failures = Array(repeating: Outcome.fails(Self.away), count: 5)
        let result = try await Self.run(
            [.begins([.lost(after: 60)])] + failures + [.fails(Self.away), .forgotten([.over])],
            unit: 1,
            servers: ["ws://a", "ws://b"]
        )
        #expect(
            result.notes.dropFirst(2) == [
                "60.0 dial a for 1", "60.5 dial a for 1", "61.5 dial a for 1", "63.5 dial a for 1", "67.5 dial a for 1",
                "75.5 dial a for 1", "75.5 dial b for 1", "75.5 session 2",
            ]
        )
    }

    @Test("After a session has worked, a server's refusal does not end the run if other servers are reachable")
    func refusalAmongServers() async throws {
        let script = [Outcome.begins([.ended(after: 60)]), .fails(Self.refused), .begins([.over])]
        let result = try await Self.run(script, servers: ["ws://a", "ws://b"])
        #expect(result.notes.dropFirst(2) == ["60.0 dial a", "60.0 dial b", "60.0 session 2"])
        let first = try await Self.run([.fails(Self.refused)], servers: ["ws://a", "ws://b"])
        #expect(first.notes == ["0.0 dial a"])
    }

    // MARK: The end

    @Test("A stopping client ends a session that has just begun, and does not dial again")
    func stopping() async throws {
        let result = try await Self.run([.begins([])], isStopping: true)
        #expect(result.notes == ["0.0 dial a", "0.0 session 1", "0.0 end 1"])
        #expect(result.end == "returned")
    }

    @Test("A cancelled run returns without an error, in a dial or with a session")
    func cancelled() async throws {
        #expect(try await Self.run([]).end == "returned")
        #expect(try await Self.run([.begins([.lost(after: 1)])]).end == "returned")
        #expect(try await Self.run([.begins([.renewal(after: 1)])]).end == "returned")
    }
}
