import Mux
import NIOCore
import NIOPosix
import TestSupport
import Testing

@testable import TunnelCore

@Suite("Looking out for the next event") struct BusyPollPolicyTests {
    private let start = NIODeadline.uptimeNanoseconds(5_000_000_000)

    private func at(_ microseconds: Int64) -> NIODeadline { start + .microseconds(microseconds) }

    /// A turn that moves something, so many µs after the start, after a sleep or a look.
    private func move(
        _ polling: inout BusyPollPolicy,
        _ load: BusyPollPolicy.Load = .little,
        at time: Int64
    ) -> BusyPollPolicy.Rest {
        polling.wakes(now: at(time))
        return polling.turnEnds(load, now: at(time))
    }

    private func look(_ polling: inout BusyPollPolicy, at time: Int64) -> BusyPollPolicy.Rest {
        polling.turnEnds(.nothing, now: at(time))
    }

    @Test("whoever has just moved a little looks again for 60 µs, and then sleeps")
    func span() {
        var polling = BusyPollPolicy(now: start)
        #expect(move(&polling, at: 1_000_000) == .lookAgain)
        #expect(look(&polling, at: 1_000_059) == .lookAgain)
        #expect(look(&polling, at: 1_000_060) == .sleep)
    }

    @Test("each question or answer gives it another 60 µs, and what is copied meanwhile neither gives nor takes")
    func extended() {
        var polling = BusyPollPolicy(now: start)
        for time in stride(from: Int64(1_000), to: 100_000, by: 1_000) {
            for later: Int64 in [0, 50, 100] {
                #expect(move(&polling, at: time + later) == .lookAgain)
                #expect(look(&polling, at: time + later + 49) == .lookAgain)
            }
            #expect(move(&polling, .bulk, at: time + 150) == .lookAgain)
            #expect(look(&polling, at: time + 159) == .lookAgain)
            #expect(look(&polling, at: time + 160) == .sleep)
        }
    }

    @Test(
        "events that come later than it looks cost one look in vain, and just beyond it every second one at most",
        arguments: [(Int64(1_000), 1), (100, 5_000)]
    )
    func late(gap: Int64, most: Int) {
        var polling = BusyPollPolicy(now: start)
        var looks = 0
        for time in (1...10_000).map({ 1_000 + $0 * gap }) where move(&polling, at: time) == .lookAgain {
            looks += 1
            #expect(look(&polling, at: time + 60) == .sleep)
        }
        #expect((1...most).contains(looks))
    }

    @Test("what comes often again is looked out for again")
    func comesBack() {
        var polling = BusyPollPolicy(now: start)
        #expect(move(&polling, at: 1_000) == .lookAgain)
        #expect(look(&polling, at: 1_060) == .sleep)
        #expect(move(&polling, at: 5_000) == .sleep)
        // A nap of 120 µs is too long, and one of 119 is not.
        #expect(move(&polling, at: 5_120) == .sleep)
        #expect(move(&polling, at: 5_239) == .sleep)
        #expect(move(&polling, at: 5_359) == .sleep)
        #expect(move(&polling, at: 5_478) == .lookAgain)
    }

    @Test("what came in time long ago buys no more than five looks in vain")
    func forgetsTheGood() {
        var polling = BusyPollPolicy(now: start)
        for time in stride(from: Int64(0), to: 100_000, by: 50) { #expect(move(&polling, at: time) == .lookAgain) }
        var looks = 0
        for time in stride(from: Int64(200_000), to: 400_000, by: 1_000) {
            if time > 200_000, move(&polling, at: time) == .lookAgain { looks += 1 }
            _ = look(&polling, at: time + 60)
        }
        #expect(looks == 4)
    }

    @Test("however long somebody has copied, two answers in time are enough to be looked out for")
    func forgetsTheBad() {
        var polling = BusyPollPolicy(now: start)
        var time: Int64 = 0
        for number: Int64 in 0..<50_000 {
            // Around the share from which on the loop is busy, and a little piece now and then.
            polling.wakes(now: at(time))
            let rest = polling.turnEnds(number % 7 == 0 ? .little : .bulk, now: at(time + 40))
            if rest == .lookAgain { _ = look(&polling, at: time + 100) }
            time += 150 + number % 100
        }
        // Looks in vain, until there are no more.
        for gap in 1...9 {
            let seldom = time + Int64(gap) * 10_000
            if move(&polling, at: seldom) == .lookAgain { _ = look(&polling, at: seldom + 60) }
        }
        time += 100_000
        #expect(move(&polling, at: time) == .sleep)
        #expect(move(&polling, at: time + 100) == .sleep)
        #expect(move(&polling, at: time + 200) == .lookAgain)
    }

    /// A loop that copies for so many of each hundred µs, and passes a question on each 10 ms.
    private func copying(_ share: Int64) -> (BusyPollPolicy, Int64) {
        var polling = BusyPollPolicy(now: start)
        var time: Int64 = 0
        for turn in 1...1_000 {
            time += 100 - share
            _ = look(&polling, at: time)
            polling.wakes(now: at(time))
            time += share
            _ = polling.turnEnds(turn % 100 == 0 ? .little : .bulk, now: at(time))
        }
        return (polling, time)
    }

    @Test("beside questions a loop that copies for more than a fourth of the time looks out for more, and for 60 µs")
    func copiesMostly() {
        let time: Int64
        var busy: BusyPollPolicy
        (busy, time) = copying(30)
        #expect(busy.turnEnds(.bulk, now: at(time + 1)) == .lookAgain)
        #expect(look(&busy, at: time + 60) == .lookAgain)
        #expect(look(&busy, at: time + 61) == .sleep)
        let later: Int64
        var other: BusyPollPolicy
        (other, later) = copying(20)
        _ = look(&other, at: later + 80)
        other.wakes(now: at(later + 80))
        #expect(other.turnEnds(.bulk, now: at(later + 81)) == .sleep)
    }

    @Test("however much a loop copies, it looks out for no more of it once nobody has asked for 10 ms")
    func copiesAlone() {
        var (polling, time) = copying(90)
        for turn in 1...200 {
            let rest = polling.turnEnds(.bulk, now: at(time + 90))
            #expect(rest == (turn <= 100 ? .lookAgain : .sleep), "after \(turn) turns")
            if rest == .lookAgain { _ = look(&polling, at: time + 100) } else { polling.wakes(now: at(time + 100)) }
            time += 100
        }
        #expect(polling.turnEnds(.little, now: at(time)) == .lookAgain)
        #expect(polling.turnEnds(.bulk, now: at(time + 90)) == .lookAgain)
    }

    @Test("what a frame brings: little where it is short, or where a stream begins or ends")
    func loads() {
        for (length, load) in [(0, BusyPollPolicy.Load.bulk), (1, .little), (4_096, .little), (4_097, .bulk)] {
            #expect(BusyPollPolicy.Load(receiving: .data, length) == load, "\(length)")
        }
        for type in FrameType.allCases where type != .data {
            let isLittle = [FrameType.open, .accept, .end, .reset].contains(type)
            #expect(BusyPollPolicy.Load(receiving: type, 8) == (isLittle ? .little : .bulk), "\(type)")
        }
    }

    @Test("what was copied two milliseconds ago makes nobody busy")
    func copiedBefore() {
        for (pause, expected) in [(Int64(2_100), BusyPollPolicy.Rest.sleep), (300, .lookAgain)] {
            var (polling, time) = copying(60)
            _ = look(&polling, at: time + 100)
            time += pause
            polling.wakes(now: at(time))
            #expect(polling.turnEnds(.bulk, now: at(time + 100)) == expected, "after \(pause) µs")
        }
    }

    @Test("the time in which others had the processor, up to 1 ms each, is none in which it has looked for an answer")
    func others() {
        var polling = BusyPollPolicy(now: start)
        #expect(move(&polling, at: 1_000_000) == .lookAgain)
        polling.offered(from: at(1_000_010), now: at(1_000_910))
        #expect(look(&polling, at: 1_000_930) == .lookAgain)
        polling.offered(from: at(1_000_940), now: at(1_001_940))
        #expect(look(&polling, at: 1_001_959) == .lookAgain)
        #expect(look(&polling, at: 1_001_960) == .sleep)
        // A loop that sleeps has nothing to go on with.
        polling.offered(from: at(1_001_970), now: at(1_002_000))
        #expect(look(&polling, at: 1_002_010) == .sleep)
        // Nor has one that looks out for the next bytes of a copy.
        var (copier, time) = copying(60)
        copier.offered(from: at(time), now: at(time + 59))
        #expect(look(&copier, at: time + 59) == .lookAgain)
        #expect(look(&copier, at: time + 60) == .sleep)
    }

    @Test("who keeps the processor for more than 1 ms is left alone for 20 ms, then twice as long, up to 1 s")
    func retreat() {
        var polling = BusyPollPolicy(now: start)
        var time: Int64 = 1_000_000
        for length: Int64 in [20, 40, 80, 160, 320, 640, 1_000, 1_000] {
            #expect(move(&polling, at: time) == .lookAgain)
            polling.offered(from: at(time), now: at(time + 1_001))
            let end = time + 1_001 + length * 1_000
            // Often enough to be worth it, and still it sleeps.
            for early in stride(from: end - 1_000, to: end, by: 50) { #expect(move(&polling, at: early) == .sleep) }
            time = end
        }
        #expect(move(&polling, at: time) == .lookAgain)
        polling.offered(from: at(time), now: at(time + 1_000))
        #expect(move(&polling, at: time + 1_010) == .lookAgain)
    }

    @Test("a retreat is twice as long within eight times the last one")
    func habit() {
        var polling = BusyPollPolicy(now: start)
        #expect(move(&polling, at: 1_000_000) == .lookAgain)
        polling.offered(from: at(1_000_000), now: at(1_001_001))
        #expect(move(&polling, at: 1_179_000) == .lookAgain)
        polling.offered(from: at(1_179_000), now: at(1_181_000))
        #expect(move(&polling, at: 1_220_999) == .sleep)
        #expect(move(&polling, at: 1_221_000) == .lookAgain)
    }

    @Test("after a while in peace the first retreat is short again")
    func peace() {
        var polling = BusyPollPolicy(now: start)
        for time: Int64 in [1_000_000, 1_181_001] {
            #expect(move(&polling, at: time) == .lookAgain)
            polling.offered(from: at(time), now: at(time + 1_001))
            for early in stride(from: time + 20_900, to: time + 21_000, by: 50) {
                #expect(move(&polling, at: early) == .sleep)
            }
            #expect(move(&polling, at: time + 21_001) == .lookAgain)
        }
    }

    /// A loop, and a vigil until that is given up.
    private func withVigil(
        _ make: @escaping @Sendable (any EventLoop) -> BusyPollLoop,
        _ body: (any EventLoop, NIOLoopBoundBox<BusyPollLoop?>) async throws -> Void
    ) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let vigil = try await loop.submit { NIOLoopBoundBox<BusyPollLoop?>(make(loop), eventLoop: loop) }.get()
        let result: Result<Void, any Error>
        do { result = .success(try await body(loop, vigil)) } catch { result = .failure(error) }
        try await group.shutdownGracefully()
        try result.get()
    }

    /// Whether a loop looks on at the end of a turn in which a little has moved.
    @Sendable private func looksOn(_ loop: any EventLoop, _ vigil: NIOLoopBoundBox<BusyPollLoop?>) throws -> Bool {
        try loop.flatSubmit {
            vigil.value?.moves(.little)
            // Behind what ends the turn.
            return loop.submit { vigil.value?.isLooking == true }
        }.wait()
    }

    @Test("a loop looks on when something has moved, for longer than its pipe is full, and sleeps when nothing follows")
    func loop() async throws {
        // It offers the processor to nobody: who took it would make it sleep.
        try await withVigil({ BusyPollLoop(on: $0, fuel: 16, yield: {}) }) { loop, vigil in
            #expect(try await onThread { try looksOn(loop, vigil) })
            let task = loop.scheduleRepeatedTask(initialDelay: .zero, delay: .microseconds(20)) { _ in
                vigil.value?.moves(.little)
            }
            try await eventually("it looks 100 times") { try loop.submit { vigil.value?.looks ?? 0 > 100 }.wait() }
            task.cancel()
            try await eventually("it sleeps") { try loop.submit { vigil.value?.isLooking == false }.wait() }
        }
    }

    @Test("the sessions of a loop share a vigil; with the last of them its pipe is closed, and the next has another")
    func lifetime() async throws {
        try await withVigil({ BusyPollLoop.of($0) }) { loop, vigil in
            #expect(try await loop.submit { BusyPollLoop.of(loop) === vigil.value }.get())
            let channel = try #require(try await loop.submit { vigil.value?.channel }.get())
            try await loop.submit { vigil.value = nil }.get()
            try await eventually("its channel is closed") { !channel.isActive }
            try await loop.submit { vigil.value = .of(loop) }.get()
            #expect(try await onThread { try looksOn(loop, vigil) })
        }
    }
}
