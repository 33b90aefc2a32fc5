import Mux
import NIOCore
import NIOPosix
import TestSupport
import Testing

@testable import TunnelCore

@Suite("Busy polling") struct BusyPollPolicyTests {
    private let start = NIODeadline.uptimeNanoseconds(5_000_000_000)

    private func at(_ microseconds: Int64) -> NIODeadline { start + .microseconds(microseconds) }

    /// Simulates an iteration with interactive bytes, at a time in µs after the start.
    private func interact(_ policy: inout BusyPollPolicy, at time: Int64) -> BusyPollPolicy.Decision {
        policy.woke(now: at(time))
        return policy.iterationEnded(isInteractive: true, now: at(time))
    }

    /// Simulates an iteration without interactive bytes.
    private func pass(_ policy: inout BusyPollPolicy, at time: Int64) -> BusyPollPolicy.Decision {
        policy.iterationEnded(isInteractive: false, now: at(time))
    }

    @Test("After interactive bytes a loop polls for 60 µs, and then sleeps")
    func span() {
        var policy = BusyPollPolicy(now: start)
        #expect(interact(&policy, at: 1_000_000) == .poll)
        #expect(pass(&policy, at: 1_000_059) == .poll)
        #expect(pass(&policy, at: 1_000_060) == .sleep)
    }

    @Test("Each interactive event extends the polling by 60 µs")
    func extended() {
        var policy = BusyPollPolicy(now: start)
        for time in stride(from: Int64(1_000), to: 100_000, by: 1_000) {
            for later: Int64 in [0, 50, 100] {
                #expect(interact(&policy, at: time + later) == .poll)
                #expect(pass(&policy, at: time + later + 49) == .poll)
            }
            #expect(pass(&policy, at: time + 159) == .poll)
            #expect(pass(&policy, at: time + 160) == .sleep)
        }
    }

    @Test(
        "Events after the polling cost one span without an event, and those shortly after it at most every second span",
        arguments: [(Int64(1_000), 1), (100, 5_000)]
    )
    func late(gap: Int64, limit: Int) {
        var policy = BusyPollPolicy(now: start)
        var spans = 0
        for time in (1...10_000).map({ 1_000 + $0 * gap }) where interact(&policy, at: time) == .poll {
            spans += 1
            #expect(pass(&policy, at: time + 60) == .sleep)
        }
        #expect((1...limit).contains(spans))
    }

    @Test("Sleeps of less than 120 µs between events start polling again")
    func recovers() {
        var policy = BusyPollPolicy(now: start)
        #expect(interact(&policy, at: 1_000) == .poll)
        #expect(pass(&policy, at: 1_060) == .sleep)
        #expect(interact(&policy, at: 5_000) == .sleep)
        #expect(interact(&policy, at: 5_120) == .sleep)
        #expect(interact(&policy, at: 5_239) == .sleep)
        #expect(interact(&policy, at: 5_359) == .sleep)
        #expect(interact(&policy, at: 5_478) == .poll)
    }

    @Test("Earlier hits permit at most five spans without an event")
    func forgetsHits() {
        var policy = BusyPollPolicy(now: start)
        for time in stride(from: Int64(0), to: 100_000, by: 50) { #expect(interact(&policy, at: time) == .poll) }
        var spans = 0
        for time in stride(from: Int64(200_000), to: 400_000, by: 1_000) {
            if time > 200_000, interact(&policy, at: time) == .poll { spans += 1 }
            _ = pass(&policy, at: time + 60)
        }
        #expect(spans == 4)
    }

    @Test("Short chunks, and frames that begin or end a stream, are interactive")
    func frames() {
        for (length, expected) in [(0, false), (1, true), (4_096, true), (4_097, false)] {
            #expect(BusyPollPolicy.isInteractive(.data, length) == expected, "\(length)")
        }
        for type in FrameType.allCases where type != .data {
            let expected = [FrameType.open, .accept, .end, .reset].contains(type)
            #expect(BusyPollPolicy.isInteractive(type, 8) == expected, "\(type)")
        }
    }

    @Test("Up to 1 ms of the processor time of other programs does not count as polling")
    func yielded() {
        var policy = BusyPollPolicy(now: start)
        #expect(interact(&policy, at: 1_000_000) == .poll)
        policy.yielded(from: at(1_000_010), now: at(1_000_910))
        #expect(pass(&policy, at: 1_000_930) == .poll)
        policy.yielded(from: at(1_000_940), now: at(1_001_940))
        #expect(pass(&policy, at: 1_001_959) == .poll)
        #expect(pass(&policy, at: 1_001_960) == .sleep)
        // A sleeping loop does not start to poll.
        policy.yielded(from: at(1_001_970), now: at(1_002_000))
        #expect(pass(&policy, at: 1_002_010) == .sleep)
    }

    @Test(
        "A program that holds the processor for more than 1 ms pauses polling for 20 ms, then twice as long, up to 1 s"
    )
    func backOff() {
        var policy = BusyPollPolicy(now: start)
        var time: Int64 = 1_000_000
        for length: Int64 in [20, 40, 80, 160, 320, 640, 1_000, 1_000] {
            #expect(interact(&policy, at: time) == .poll)
            policy.yielded(from: at(time), now: at(time + 1_001))
            let end = time + 1_001 + length * 1_000
            for early in stride(from: end - 1_000, to: end, by: 50) { #expect(interact(&policy, at: early) == .sleep) }
            time = end
        }
        #expect(interact(&policy, at: time) == .poll)
        policy.yielded(from: at(time), now: at(time + 1_000))
        #expect(interact(&policy, at: time + 1_010) == .poll)
    }

    @Test("A pause doubles if it follows the last one within eight times its length")
    func repeated() {
        var policy = BusyPollPolicy(now: start)
        #expect(interact(&policy, at: 1_000_000) == .poll)
        policy.yielded(from: at(1_000_000), now: at(1_001_001))
        #expect(interact(&policy, at: 1_179_000) == .poll)
        policy.yielded(from: at(1_179_000), now: at(1_181_000))
        #expect(interact(&policy, at: 1_220_999) == .sleep)
        #expect(interact(&policy, at: 1_221_000) == .poll)
    }

    /// Runs a test with an event loop and its busy polling.
    private func withPoll(
        _ make: @escaping @Sendable (any EventLoop) -> BusyPollLoop,
        _ body: (any EventLoop, NIOLoopBoundBox<BusyPollLoop?>) async throws -> Void
    ) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let poll = try await loop.submit { NIOLoopBoundBox<BusyPollLoop?>(make(loop), eventLoop: loop) }.get()
        let result: Result<Void, any Error>
        do { result = .success(try await body(loop, poll)) } catch { result = .failure(error) }
        try await group.shutdownGracefully()
        try result.get()
    }

    /// Whether a loop polls at the end of an iteration with interactive bytes.
    @Sendable private func polls(_ loop: any EventLoop, _ poll: NIOLoopBoundBox<BusyPollLoop?>) throws -> Bool {
        try loop.flatSubmit {
            poll.value?.noteInteractive()
            // Runs after the end of the iteration.
            return loop.submit { poll.value?.isPolling == true }
        }.wait()
    }

    @Test("A loop polls while interactive bytes arrive, refills its pipe, and sleeps if none follow")
    func loop() async throws {
        // The loop does not yield, because a long yield would end the polling.
        try await withPoll({ BusyPollLoop(on: $0, fuel: 16, yield: {}) }) { loop, poll in
            #expect(try await onThread { try polls(loop, poll) })
            let task = loop.scheduleRepeatedTask(initialDelay: .zero, delay: .microseconds(20)) { _ in
                poll.value?.noteInteractive()
            }
            try await eventually("the loop polls 100 times") { try loop.submit { poll.value?.polls ?? 0 > 100 }.wait() }
            task.cancel()
            try await eventually("the loop sleeps") { try loop.submit { poll.value?.isPolling == false }.wait() }
        }
    }

    @Test("The sessions of a loop share one poll loop; it closes with the last session, and the next gets a new one")
    func lifetime() async throws {
        try await withPoll({ BusyPollLoop.of($0) }) { loop, poll in
            #expect(try await loop.submit { BusyPollLoop.of(loop) === poll.value }.get())
            let channel = try #require(try await loop.submit { poll.value?.channel }.get())
            try await loop.submit { poll.value = nil }.get()
            try await eventually("the channel is closed") { !channel.isActive }
            try await loop.submit { poll.value = .of(loop) }.get()
            #expect(try await onThread { try polls(loop, poll) })
        }
    }
}
