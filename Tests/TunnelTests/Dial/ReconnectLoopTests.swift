import Logging
import Mux
import ProxyConnect
import Synchronization
import Testing

@testable import TunnelClient
@testable import TunnelCore

/// The loop that keeps a client connected, with a dialler that follows a script and a clock that nothing waits for.
@Suite("A client that reconnects")
struct ReconnectLoopTests {
    /// What a scenario showed.
    private struct Played {
        /// The dials and what else was noted, each with its time in seconds.
        let notes: [String]
        /// How the run ended.
        let end: String
        let log: CollectedLog
    }

    /// Runs the loop against a script.
    ///
    /// - Parameters:
    ///   - unit: each of the loop's random numbers.
    ///   - operatorRenews: the numbers of the waits that the operator ends.
    ///   - isStopping: whether the client is stopping.
    private static func play(
        _ script: [Outcome],
        unit: Double = 0,
        servers: [String] = ["ws://a"],
        operatorRenews: Set<Int> = [],
        isStopping: Bool = false,
        _ configure: (inout ClientConfiguration) -> Void = { _ in }
    ) async throws -> Played {
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
        return Played(notes: time.notes, end: end, log: log)
    }

    private static let away = DialError.fixture(.connect, "away", .retry)
    private static let refused = DialError.fixture(.session, "wrong token", .refused)

    /// The error with the pause that the peer asked for.
    private static func busy(_ seconds: Int, _ disposition: DialError.Disposition = .retry) -> DialError {
        var error = DialError.fixture(.session, "busy", disposition)
        error.retryAfter = seconds
        return error
    }

    // MARK: Lost carriers

    @Test("A lost carrier is dialled again at once, but at most twice a second, and the session continues")
    func lostCarrier() async throws {
        let played = try await Self.play([
            .begins([.lost(after: 60)]), .resumes([.lost(after: 0.1)]), .resumes([.over]),
        ])
        #expect(played.notes == ["0.0 dial a", "0.0 session 1", "60.0 dial a for 1", "60.5 dial a for 1"])
        #expect(played.end == "refused: over")
        #expect(played.log.count("carrier lost; dialling another one for the session") == 2)
    }

    @Test("A loss that is reported after the carrier was replaced causes no dial")
    func lateLoss() async throws {
        let played = try await Self.play([.begins([.lost(after: 60)]), .resumes([.lateLoss, .over])])
        #expect(played.notes == ["0.0 dial a", "0.0 session 1", "60.0 dial a for 1"])
    }

    @Test("Without a carrier the dials back off with jitter, up to 30 s", arguments: [0.0, 1.0])
    func backoffWithSession(unit: Double) async throws {
        let failures = Array(repeating: Outcome.fails(Self.away), count: 8)
        let played = try await Self.play([.begins([.lost(after: 10)])] + failures + [.resumes([.over])], unit: unit)
        let times = played.notes.filter { $0.contains("for 1") }.map { $0.prefix { $0 != " " } }
        #expect(
            times
                == (unit == 0
                    ? ["10.0", "10.5", "11.0", "11.5", "12.0", "12.5", "13.0", "13.5", "14.0"]
                    : ["10.0", "10.5", "11.5", "13.5", "17.5", "25.5", "41.5", "71.5", "101.5"])
        )
        // A failure that stays the same is a warning after one, two, four and eight times.
        #expect(played.log.count("warning : connect: away") == 4)
    }

    @Test("Two carriers cut after the same silence lead to more pings, and two cut at the same age to renewals")
    func lessons() async throws {
        let idle = try await Self.play([
            .begins([.lost(after: 12, idle: 10)]), .resumes([.lost(after: 12, idle: 10)]), .resumes([.over]),
        ])
        #expect(idle.notes.contains("24.0 maintain 1: ping 5.0, renewal never"), "\(idle.notes)")
        let old = try await Self.play([
            .begins([.lost(after: 1_000)]), .resumes([.lost(after: 1_000)]), .resumes([.over]),
        ])
        #expect(old.notes.contains("2000.0 maintain 1: ping usual, renewal 900.0"), "\(old.notes)")
    }

    @Test("A session that the server has forgotten is replaced by another one on the same carrier")
    func forgotten() async throws {
        let played = try await Self.play([
            .begins([.lost(after: 60)]), .forgotten([.lost(after: 30)]), .resumes([.over]),
        ])
        #expect(
            played.notes == [
                "0.0 dial a", "0.0 session 1", "60.0 dial a for 1", "60.0 session 2", "90.0 dial a for 2",
            ]
        )
        #expect(played.log.count("did not know the session any more") == 1)
    }

    // MARK: Failed dials

    @Test("Failed dials back off with full jitter from half a second to 30 s", arguments: [0.0, 0.5, 1.0])
    func backoff(unit: Double) async throws {
        let failures = Array(repeating: Outcome.fails(Self.away), count: 8)
        let played = try await Self.play(failures + [.begins([.over])], unit: unit)
        let times = played.notes.compactMap { $0.hasSuffix("dial a") ? Double($0.prefix { $0 != " " }) : nil }
        let waits = zip(times.dropFirst(), times).map { $0 - $1 }
        // The shortest wait is the spacing of two dials.
        #expect(waits == [0.5, 1, 2, 4, 8, 16, 30, 30].map { max(0.5, $0 * unit) })
    }

    @Test("A session that ends is replaced at once, or after a wait if the server broke the protocol")
    func endedSession() async throws {
        let played = try await Self.play(
            [.begins([.ended(after: 60)]), .begins([.ended(after: 60, isViolation: true)]), .begins([.over])],
            unit: 1
        )
        #expect(
            played.notes == [
                "0.0 dial a", "0.0 session 1", "60.0 dial a", "60.0 session 2", "120.5 dial a", "120.5 session 3",
            ]
        )
        #expect(played.log.count("session lost; dialling again") == 2)
    }

    @Test("The pause that a peer asks for is obeyed up to five minutes, and up to 3 s while a session waits")
    func retryAfter() async throws {
        let first = try await Self.play([.fails(Self.busy(7)), .fails(Self.busy(9_999)), .begins([.over])])
        #expect(first.notes == ["0.0 dial a", "7.0 dial a", "307.0 dial a", "307.0 session 1"])
        let lost = try await Self.play([
            .begins([.lost(after: 60, retryAfter: 5)]), .fails(Self.busy(60)), .resumes([.over]),
        ])
        #expect(lost.notes.dropFirst(2) == ["65.0 dial a for 1", "68.0 dial a for 1"])
        let ended = try await Self.play([.begins([.ended(after: 60, retryAfter: 5)]), .begins([.over])])
        #expect(ended.notes.dropFirst(2) == ["65.0 dial a", "65.0 session 2"])
    }

    @Test("A pause that protects an account is obeyed while a session waits, too")
    func lockout() async throws {
        var error = Self.busy(300)
        error.waitReason = "further tries may lock the account"
        let played = try await Self.play([.begins([.lost(after: 60)]), .fails(error), .resumes([.over])])
        #expect(played.notes.dropFirst(2) == ["60.0 dial a for 1", "360.0 dial a for 1"])
        #expect(played.log.count("why=further tries may lock the account") == 1)
    }

    @Test("maximumRetries bounds the dials since the last session, and 0 means one dial")
    func maximumRetries() async throws {
        let failures = Array(repeating: Outcome.fails(Self.away), count: 9)
        for limit in [0, 1, 3] {
            let played = try await Self.play(failures) { $0.maximumRetries = limit }
            #expect(played.notes.count == limit + 1)
            #expect(played.end.hasPrefix("unreachable: ") && played.end.hasSuffix("away"))
        }
        let script = [.fails(Self.away), .begins([.ended(after: 60)])] + failures
        let anew = try await Self.play(script) { $0.maximumRetries = 2 }
        #expect(anew.notes.count { $0.contains("dial") } == 2 + 3)
    }

    @Test("maximumRetries of 0 ends the run when the carrier or the session is lost")
    func noRetries() async throws {
        let lost = try await Self.play([.begins([.lost(after: 1)])]) { $0.maximumRetries = 0 }
        #expect(lost.end == "unreachable: session lost: cut" && lost.notes.count == 2)
        let ended = try await Self.play([.begins([.ended(after: 1)])]) { $0.maximumRetries = 0 }
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
        let played = try await Self.play([.fails(.fixture(.session, "no", disposition))])
        #expect(played.end == "\(kind): : session: no" && played.notes == ["0.0 dial a"])
    }

    @Test("Once a session has worked, a refusal is retried after a minute, and then more slowly, up to 15 min")
    func refusedLater() async throws {
        let refusals = Array(repeating: Outcome.fails(Self.refused), count: 6)
        let played = try await Self.play([.begins([.ended(after: 10)])] + refusals + [.begins([.over])])
        let times = played.notes.compactMap { $0.hasSuffix("dial a") ? Double($0.prefix { $0 != " " }) : nil }
        #expect(zip(times.dropFirst(2), times.dropFirst()).map { $0 - $1 } == [60, 120, 240, 480, 900, 900])
    }

    @Test(
        "A refusal ends the run after a session too, if the configuration wants it, or if it is about a password",
        arguments: [true, false]
    )
    func refusedForGood(exitsOnRefusal: Bool) async throws {
        var error = exitsOnRefusal ? Self.refused : .fixture(.proxy, "407", .refused)
        error.isPasswordRefusal = !exitsOnRefusal
        let played = try await Self.play([.begins([.ended(after: 10)]), .fails(error)]) {
            $0.exitsOnRefusal = exitsOnRefusal
        }
        #expect(played.end.hasPrefix("refused: ") && played.notes.count { $0.contains("dial") } == 2)
    }

    @Test("A server that is not ours is retried once a session has worked, as is a refusal at first")
    func lateRefusalAtFirst() async throws {
        for disposition in [DialError.Disposition.notOurs, .notOursAtFirst, .refusedAtFirst] {
            let error = DialError.fixture(.upgrade, "no", disposition)
            let played = try await Self.play([.begins([.ended(after: 10)]), .fails(error), .begins([.over])])
            #expect(played.end == "refused: over", "\(disposition)")
        }
    }

    // MARK: Renewals

    @Test("A carrier is renewed while it lives")
    func renewal() async throws {
        let played = try await Self.play([.begins([.renewal(after: 60)]), .resumes([.over])])
        #expect(played.notes == ["0.0 dial a", "0.0 session 1", "60.0 dial a for 1"])
        #expect(played.log.count("carrier lost") == 0)
    }

    @Test("A renewal that fails is tried again later, and the carrier serves on")
    func failedRenewal() async throws {
        let played = try await Self.play(
            [.begins([.renewal(after: 60)]), .fails(Self.away), .fails(Self.away), .resumes([.over])],
            unit: 1
        )
        #expect(played.notes.dropFirst(2) == ["60.0 dial a for 1", "60.5 dial a for 1", "61.5 dial a for 1"])
        #expect(played.log.count("this one serves on") == 2)
    }

    @Test("A renewal that the server refuses is not tried again, and the carrier serves to its end")
    func refusedRenewal() async throws {
        let played = try await Self.play([
            .begins([.renewal(after: 60)]), .fails(Self.refused, [.ended(after: 3_600)]), .begins([.over]),
        ])
        #expect(
            played.notes == [
                "0.0 dial a", "0.0 session 1", "60.0 dial a for 1", "3660.0 dial a", "3660.0 session 2",
            ]
        )
    }

    @Test("Each session gets the age at which its carriers are renewed, spread over a tenth")
    func maximumAge() async throws {
        for (unit, age) in [(0.0, "300.0"), (1.0, "270.0")] {
            let played = try await Self.play([.begins([.over])], unit: unit) { $0.maximumCarrierAge = .seconds(300) }
            #expect(played.notes.contains("0.0 maintain 1: ping usual, renewal \(age)"), "\(played.notes)")
        }
    }

    // MARK: The operator

    @Test("The operator ends a wait, and the next dial begins at once")
    func operatorEndsWait() async throws {
        let script = [Outcome.fails(Self.busy(60)), .fails(Self.busy(60)), .begins([.over])]
        let played = try await Self.play(script, operatorRenews: [2])
        #expect(played.notes == ["0.0 dial a", "60.0 dial a", "60.0 dial a", "60.0 session 1"])
    }

    @Test("The operator ends the wait of a session without a carrier, and the old wait causes no second dial")
    func operatorEndsWaitOfSession() async throws {
        let played = try await Self.play([
            .begins([.operatorRenews, .lost(after: 60, retryAfter: 200)]), .resumes([.over]),
        ])
        #expect(played.notes.dropFirst(2) == ["60.0 dial a for 1"])
        #expect(played.end == "refused: over")
    }

    @Test("A proxy that has refused the credentials is left out, until the operator ends a wait")
    func operatorForgivesProxy() async throws {
        let proxies = try ["p:1", "none"].map { text in try ProxyChoice(argument: text) }
        var refusal = DialError.fixture(.proxy, "407", .refused)
        refusal.isPasswordRefusal = true
        let script = [Outcome.fails(refusal), .fails(Self.away), .fails(Self.away), .begins([.over])]
        for (waits, dials) in [(Set<Int>(), 4), ([1], 4), ([2], 4)] {
            let played = try await Self.play(script, operatorRenews: waits) { $0.proxies = { _ in proxies } }
            #expect(played.notes.count { $0.contains("dial") } == dials)
            // Two ways at first; then the direct one alone, unless the proxy is forgiven.
            let times = played.notes.filter { $0.contains("dial") }.map { $0.prefix { $0 != " " } }
            switch waits {
            case []: #expect(times == ["0.0", "0.0", "0.5", "1.0"])
            case [1]: #expect(times == ["0.0", "0.0", "0.0", "0.0"])
            default: #expect(times == ["0.0", "0.0", "0.5", "0.5"])
            }
        }
    }

    // MARK: Several servers

    @Test("Several servers are dialled in turn, and the one that worked is the first the next time")
    func severalServers() async throws {
        let script = [Outcome.fails(Self.away), .begins([.ended(after: 60)]), .fails(Self.away), .begins([.over])]
        let played = try await Self.play(script, servers: ["ws://a", "ws://b"])
        #expect(
            played.notes == [
                "0.0 dial a", "0.0 dial b", "0.0 session 1", "60.0 dial b", "60.0 dial a", "60.0 session 2",
            ]
        )
    }

    @Test("For 15 s a session without a carrier is resumed at its own server alone, and then at any")
    func loyalty() async throws {
        let failures = Array(repeating: Outcome.fails(Self.away), count: 5)
        let played = try await Self.play(
            [.begins([.lost(after: 60)])] + failures + [.fails(Self.away), .forgotten([.over])],
            unit: 1,
            servers: ["ws://a", "ws://b"]
        )
        #expect(
            played.notes.dropFirst(2) == [
                "60.0 dial a for 1", "60.5 dial a for 1", "61.5 dial a for 1", "63.5 dial a for 1", "67.5 dial a for 1",
                "75.5 dial a for 1", "75.5 dial b for 1", "75.5 session 2",
            ]
        )
    }

    @Test("A server's refusal is not the last word while others may be reached, once a session has worked")
    func refusalAmongServers() async throws {
        let script = [Outcome.begins([.ended(after: 60)]), .fails(Self.refused), .begins([.over])]
        let played = try await Self.play(script, servers: ["ws://a", "ws://b"])
        #expect(played.notes.dropFirst(2) == ["60.0 dial a", "60.0 dial b", "60.0 session 2"])
        let first = try await Self.play([.fails(Self.refused)], servers: ["ws://a", "ws://b"])
        #expect(first.notes == ["0.0 dial a"])
    }

    // MARK: The end

    @Test("A client that is stopping ends the session that has just begun, and dials no other")
    func stopping() async throws {
        let played = try await Self.play([.begins([])], isStopping: true)
        #expect(played.notes == ["0.0 dial a", "0.0 session 1", "0.0 end 1"])
        #expect(played.end == "returned")
    }

    @Test("A cancelled run returns without an error, in a dial or with a session")
    func cancelled() async throws {
        #expect(try await Self.play([]).end == "returned")
        #expect(try await Self.play([.begins([.lost(after: 1)])]).end == "returned")
        #expect(try await Self.play([.begins([.renewal(after: 1)])]).end == "returned")
    }
}
