import NIOCore
import NIOPosix
import TestSupport
import Testing

@testable import Tunnel

@Suite("Looking out for the next event") struct BusyPollingTests {
    private let start = NIODeadline.uptimeNanoseconds(5_000_000_000)

    private func at(_ microseconds: Int64) -> NIODeadline { start + .microseconds(microseconds) }

    /// A turn that moves something, so many µs after the start, after a sleep or a look.
    private func move(
        _ polling: inout BusyPolling,
        _ load: BusyPolling.Load = .little,
        at time: Int64
    ) -> BusyPolling.Rest {
        polling.wakes(now: at(time))
        return polling.turnEnds(load, now: at(time))
    }

    private func look(_ polling: inout BusyPolling, at time: Int64) -> BusyPolling.Rest {
        polling.turnEnds(.nothing, now: at(time))
    }

    @Test("whoever has just moved a little looks again for 60 µs, and then sleeps")
    func span() {
        var polling = BusyPolling(now: start)
        #expect(move(&polling, at: 1_000_000) == .lookAgain)
        #expect(look(&polling, at: 1_000_059) == .lookAgain)
        #expect(look(&polling, at: 1_000_060) == .sleep)
    }

    @Test("each question or answer gives it another 60 µs, and what is copied meanwhile neither gives nor takes")
    func extended() {
        var polling = BusyPolling(now: start)
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

    @Test("events that come later than it looks cost one look in vain, and then nobody looks")
    func seldom() {
        var polling = BusyPolling(now: start)
        var looks = 0
        for time in stride(from: Int64(1_000), to: 10_000_000, by: 1_000) where move(&polling, at: time) == .lookAgain {
            looks += 1
            #expect(look(&polling, at: time + 60) == .sleep)
        }
        #expect(looks == 1)
    }

    @Test("events just beyond the span are looked out for every second time at most")
    func beyondTheSpan() {
        var polling = BusyPolling(now: start)
        var looks = 0
        for time in stride(from: Int64(1_000), to: 1_000_000, by: 100) where move(&polling, at: time) == .lookAgain {
            looks += 1
            #expect(look(&polling, at: time + 60) == .sleep)
        }
        #expect(looks <= 5_000)
    }

    @Test("what comes often again is looked out for again")
    func comesBack() {
        var polling = BusyPolling(now: start)
        #expect(move(&polling, at: 1_000) == .lookAgain)
        #expect(look(&polling, at: 1_060) == .sleep)
        #expect(move(&polling, at: 5_000) == .sleep)
        #expect(move(&polling, at: 5_119) == .sleep)
        #expect(move(&polling, at: 5_238) == .lookAgain)
    }

    @Test("who copies now and then is not looked out for")
    func copiesNowAndThen() {
        var polling = BusyPolling(now: start)
        for time in stride(from: Int64(1_000), to: 1_000_000, by: 100) {
            polling.wakes(now: at(time))
            #expect(polling.turnEnds(.bulk, now: at(time + 20)) == .sleep)
        }
    }

    @Test("a loop that copies for more than a fourth of the time looks out for more, and for 60 µs")
    func copiesMostly() {
        var polling = BusyPolling(now: start)
        var time: Int64 = 0
        for _ in 0..<100 {
            time += 60
            polling.wakes(now: at(time))
            time += 40
            _ = polling.turnEnds(.bulk, now: at(time))
        }
        #expect(polling.turnEnds(.bulk, now: at(time + 1)) == .lookAgain)
        #expect(look(&polling, at: time + 60) == .lookAgain)
        #expect(look(&polling, at: time + 61) == .sleep)
    }

    @Test("who keeps the processor for more than 1 ms is left alone for 20 ms, then twice as long, up to 1 s")
    func retreat() {
        var polling = BusyPolling(now: start)
        var time: Int64 = 1_000_000
        for length: Int64 in [20, 40, 80, 160, 320, 640, 1_000, 1_000] {
            #expect(move(&polling, at: time) == .lookAgain)
            polling.offered(since: at(time), now: at(time + 1_001))
            let end = time + 1_001 + length * 1_000
            // Often enough to be worth it, and still it sleeps.
            for early in stride(from: end - 1_000, to: end, by: 50) { #expect(move(&polling, at: early) == .sleep) }
            time = end
        }
        #expect(move(&polling, at: time) == .lookAgain)
        polling.offered(since: at(time), now: at(time + 1_000))
        #expect(move(&polling, at: time + 1_010) == .lookAgain)
    }

    @Test("after a while in peace the first retreat is short again")
    func peace() {
        var polling = BusyPolling(now: start)
        for time: Int64 in [1_000_000, 1_181_001] {
            #expect(move(&polling, at: time) == .lookAgain)
            polling.offered(since: at(time), now: at(time + 1_001))
            for early in stride(from: time + 20_900, to: time + 21_000, by: 50) {
                #expect(move(&polling, at: early) == .sleep)
            }
            #expect(move(&polling, at: time + 21_001) == .lookAgain)
        }
    }

    @Test("a loop looks on when something has moved, and sleeps when nothing follows")
    func loop() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let vigil = try await loop.submit { NIOLoopBound(LoopVigil.of(loop), eventLoop: loop) }.get()
        let isShared = try await loop.submit { LoopVigil.of(loop) === vigil.value }.get()
        #expect(isShared)
        try await eventually("it looks on") {
            try loop.flatSubmit {
                vigil.value.moves(.little)
                // Behind what ends the turn.
                return loop.submit { vigil.value.isLooking }
            }.wait()
        }
        try await eventually("it sleeps") { try loop.submit { !vigil.value.isLooking }.wait() }
        try await group.shutdownGracefully()
    }
}
