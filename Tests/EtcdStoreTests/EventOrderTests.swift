import Cluster
import NIOCore
import TestSupport
import Testing

@testable import EtcdStore

/// Messages of a watch as events, without a connection.
@Suite("Messages of a watch")
struct EventOrderTests {
    private static let keys = EtcdKeys(prefix: "culvert/")
    private static let probe = keys.probe(of: .ports)

    private static func order(from start: Int64) -> EventOrder {
        EventOrder(from: Revision(start), probe: probe, EtcdEntries(keys, logger: .silent))
    }

    private static func key(_ port: UInt16) -> ClaimKey { TestClient("a").claim(.tcp(port)).key }

    /// A removal of a port's claim at a revision, or a write of the probe for port 0.
    private static func event(_ port: UInt16, at revision: Int64) -> WatchAnswer.Event {
        WatchAnswer.Event(
            type: port == 0 ? nil : "DELETE",
            keyValue: KeyValue(
                key: EtcdBytes(port == 0 ? probe : keys.claim(key(port))),
                value: nil,
                modRevision: EtcdNumber(revision),
                lease: nil
            )
        )
    }

    private static func message(
        _ events: [WatchAnswer.Event] = [],
        at revision: Int64 = 1,
        created: Bool? = nil,
        fragment: Bool? = nil
    ) -> WatchAnswer {
        WatchAnswer(
            header: AnswerHeader(revision: EtcdNumber(revision)),
            created: created,
            canceled: nil,
            cancelReason: nil,
            compactRevision: nil,
            fragment: fragment,
            events: events
        )
    }

    private static func gone(_ ports: UInt16..., at revision: Int64) -> StoreEvent {
        .changed(ports.map { .claimGone(key($0)) }, at: Revision(revision))
    }

    @Test("changes of one revision are one event")
    func groups() throws {
        var order = Self.order(from: 5)
        let events = try order.receive(
            Self.message([Self.event(1, at: 5), Self.event(2, at: 5), Self.event(3, at: 7)], at: 7)
        )
        #expect(events == [Self.gone(1, 2, at: 5), Self.gone(3, at: 7)])
        #expect(order.reported == Revision(7))
    }

    @Test("the events of a fragment's last revision wait for the rest")
    func fragments() throws {
        var order = Self.order(from: 1)
        let first = try order.receive(
            Self.message([Self.event(1, at: 5), Self.event(2, at: 6)], at: 9, fragment: true)
        )
        #expect(first == [Self.gone(1, at: 5)])
        #expect(try order.receive(Self.message([Self.event(3, at: 6)], at: 9, fragment: true)) == [])
        #expect(try order.receive(Self.message(at: 9, fragment: true)) == [])
        let last = try order.receive(Self.message([Self.event(4, at: 6), Self.event(5, at: 8)], at: 9))
        #expect(last == [Self.gone(2, 3, 4, at: 6), Self.gone(5, at: 8)])
    }

    @Test("copies, and events before the start, are not reported")
    func copies() throws {
        var order = Self.order(from: 5)
        #expect(try order.receive(Self.message([Self.event(1, at: 4), Self.event(1, at: 5)])) == [Self.gone(1, at: 5)])
        #expect(try order.receive(Self.message([Self.event(1, at: 5), Self.event(1, at: 3)])) == [])
        #expect(try order.receive(Self.message([Self.event(1, at: 5), Self.event(1, at: 6)])) == [Self.gone(1, at: 6)])
        #expect(try order.receive(Self.message([Self.event(2, at: 9), Self.event(3, at: 8)])) == [Self.gone(2, at: 9)])
    }

    @Test("the probe and a message without events are progress, and the creation is not")
    func progress() throws {
        var order = Self.order(from: 5)
        #expect(try order.receive(Self.message(at: 30, created: true)) == [])
        #expect(try order.receive(Self.message([Self.event(0, at: 8)], at: 30)) == [.progress(Revision(8))])
        #expect(try order.receive(Self.message(at: 20)) == [.progress(Revision(20))])
        #expect(try order.receive(Self.message(at: 20)) == [])
        #expect(try order.receive(Self.message(at: 3)) == [])
        #expect(order.reported == Revision(20))
    }

    @Test("an event without a revision, and too many at one, are flaws")
    func flaws() throws {
        var order = Self.order(from: 1)
        for number: Int64 in [0, -1, .min] {
            #expect(throws: EventOrder.Flaw.eventWithoutRevision) {
                try order.receive(Self.message([Self.event(1, at: number)]))
            }
        }
        let events = Array(repeating: Self.event(1, at: 5), count: EtcdLimits.changes)
        #expect(try order.receive(Self.message(events, fragment: true)) == [])
        // A probe, and an entry that cannot be read, need no room.
        #expect(try order.receive(Self.message([Self.event(0, at: 5)], fragment: true)) == [])
        #expect(throws: EventOrder.Flaw.tooManyChanges) { try order.receive(Self.message([Self.event(1, at: 5)])) }
        var last = Self.order(from: .max)
        #expect(try last.receive(Self.message([Self.event(1, at: .max)])) == [Self.gone(1, at: .max)])
    }

    @Test("lines are cut at each split, without empty ones, and bounded")
    func lines() throws {
        let text = "one\n\ntwo\n"
        for split in 0...text.utf8.count {
            var splitter = LineSplitter(limit: 3)
            var found: [String] = []
            for part in [text.utf8.prefix(split), text.utf8.dropFirst(split)] {
                splitter.append(ByteBuffer(bytes: part))
                while let line = try splitter.next() { found.append(String(buffer: line)) }
            }
            #expect(found == ["one", "two"])
        }
        for long in ["four", "four\n"] {
            var splitter = LineSplitter(limit: 3)
            splitter.append(ByteBuffer(string: long))
            #expect(throws: ConnectionFailure.tooLong) { try splitter.next() }
        }
    }
}
