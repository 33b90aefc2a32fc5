import Mux
import Testing

@testable import TunnelCore

@Suite("Pending visitors")
struct PendingStreamsTests {
    private func time(_ seconds: Double) -> Instant { Instant(nanoseconds: UInt64((1_000 + seconds) * 1e9)) }

    /// Pending visitors that wait 15 s for a carrier and 2 s for a stream.
    private func pending(capacity: Int = 10) -> PendingStreams<String> {
        PendingStreams(capacity: capacity, timeout: .seconds(15), streamTimeout: .seconds(2))
    }

    private func request(_ tunnel: UInt16) -> OpenRequest { OpenRequest(tunnel: tunnel, visitor: "192.0.2.1:40001") }

    @Test("The visitors of a tunnel leave in the order of their arrival")
    func order() {
        var pending = pending()
        for (name, tunnel) in [("a", UInt16(0)), ("b", 1), ("c", 0)] {
            pending.append(name, request(tunnel), now: time(0))
        }
        #expect(pending.count == 3 && Set(pending.tunnels) == [0, 1])
        #expect(pending.first(at: 0)?.pipe == "a" && pending.first(at: 1)?.pipe == "b")
        pending.removeFirst(at: 0)
        #expect(pending.first(at: 0)?.pipe == "c" && pending.count == 2)
        pending.removeFirst(at: 0)
        #expect(!pending.hasVisitors(at: 0) && pending.hasVisitors(at: 1) && pending.tunnels == [1])
        pending.removeFirst(at: 0)
        #expect(pending.count == 1 && !pending.isEmpty)
    }

    @Test("The next deadline is the earliest of all tunnels, and there is none without visitors")
    func nextDeadline() {
        var pending = pending()
        #expect(pending.nextDeadline == nil)
        pending.append("a", request(0), now: time(3))
        pending.append("b", request(1), now: time(1))
        #expect(pending.nextDeadline == time(16))
        pending.removeFirst(at: 1)
        #expect(pending.nextDeadline == time(18))
    }

    @Test("A visitor expires at its deadline, and not before")
    func deadline() {
        var pending = pending()
        pending.append("a", request(0), now: time(0))
        pending.append("b", request(0), now: time(1))
        #expect(pending.removeExpired(now: time(14.999)).isEmpty)
        let expired = pending.removeExpired(now: time(15))
        #expect(expired.map(\.pipe) == ["a"] && expired.map(\.waitsForStream) == [false])
        #expect(pending.count == 1 && pending.removeExpired(now: time(16)).map(\.pipe) == ["b"])
        #expect(pending.isEmpty)
    }

    @Test("Without free streams a tunnel's visitors have 2 s, and no deadline becomes later")
    func shortened() {
        var pending = pending()
        pending.append("old", request(0), now: time(0))
        pending.append("new", request(0), now: time(14))
        pending.append("other", request(1), now: time(14))
        pending.shortenDeadlines(at: 0, now: time(14))
        #expect(pending.removeExpired(now: time(15)).map(\.pipe) == ["old"])
        let expired = pending.removeExpired(now: time(16))
        #expect(expired.map(\.pipe) == ["new"] && expired.map(\.waitsForStream) == [true])
        #expect(pending.first(at: 1)?.pipe == "other" && pending.nextDeadline == time(29))
    }

    @Test("Deadlines are shortened once for each visitor")
    func shortenedOnce() {
        var pending = pending()
        pending.append("a", request(0), now: time(0))
        pending.shortenDeadlines(at: 0, now: time(0))
        pending.append("b", request(0), now: time(1))
        pending.shortenDeadlines(at: 0, now: time(1))
        #expect(pending.removeExpired(now: time(2)).map(\.pipe) == ["a"])
        pending.shortenDeadlines(at: 0, now: time(2))
        #expect(pending.nextDeadline == time(3))
        pending.shortenDeadlines(at: 7, now: time(2))
        #expect(pending.count == 1)
    }

    @Test("The limit counts the visitors of all tunnels")
    func full() {
        var pending = pending(capacity: 2)
        pending.append("a", request(0), now: time(0))
        #expect(!pending.isFull)
        pending.append("b", request(1), now: time(0))
        #expect(pending.isFull)
        pending.removeFirst(at: 0)
        #expect(!pending.isFull)
    }

    @Test("The visitors of one tunnel are removed in their order, and those of the others stay")
    func removeTunnel() {
        var pending = pending()
        for (name, tunnel) in [("a", UInt16(0)), ("b", 1), ("c", 0)] {
            pending.append(name, request(tunnel), now: time(0))
        }
        #expect(pending.removeAll(at: 0).map(\.pipe) == ["a", "c"])
        #expect(pending.count == 1 && pending.first(at: 1)?.pipe == "b")
        #expect(pending.removeAll(at: 0).isEmpty && pending.count == 1)
    }

    @Test("All visitors are removed at once, and the queues are empty")
    func removeAll() {
        var pending = pending()
        for tunnel in UInt16(0)..<3 { pending.append("\(tunnel)", request(tunnel), now: time(0)) }
        #expect(Set(pending.removeAll().map(\.pipe)) == ["0", "1", "2"])
        #expect(pending.isEmpty && pending.tunnels.isEmpty && pending.nextDeadline == nil)
    }
}
