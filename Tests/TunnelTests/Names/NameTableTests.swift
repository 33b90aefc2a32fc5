import Mux
import NIOCore
import Testing

@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer

@Suite("Which names are looked up, and by how many threads")
struct NameTableTests {
    /// A table, its clock, and what it has decided.
    struct Played {
        var table: NameTable
        var now = Instant(nanoseconds: 1_000_000_000_000)
        var running: [(lookup: NameTable.Lookup, name: String)] = []
        var answers: [NameTable.Request: NameTable.Outcome] = [:]

        init(_ limits: NameLimits = NameLimits()) {
            table = NameTable(limits)
        }

        /// How many lookups of a name have begun and not returned.
        func lookups(of name: String) -> Int { running.count { $0.name == name } }

        mutating func take(_ actions: [NameTable.Action]) {
            for action in actions {
                switch action {
                case .start(let lookup, let name): running.append((lookup, name))
                case .answer(let request, let outcome): answers[request] = outcome
                }
            }
        }

        @discardableResult
        mutating func ask(_ name: String, for purpose: NameTable.Purpose = .service) -> NameTable.Request {
            let (request, actions) = table.ask(name, for: purpose, now: now)
            take(actions)
            return request
        }

        /// The oldest lookup of a name returns.
        mutating func returns(_ name: String, _ outcome: NameTable.Outcome) throws {
            let index = try #require(running.firstIndex { $0.name == name })
            take(table.returned(running.remove(at: index).lookup, outcome, now: now))
        }

        mutating func pass(_ time: Duration) {
            now = now + time
            take(table.tick(now: now))
        }
    }

    static func address(_ text: String) throws -> NameTable.Outcome {
        .success([try SocketAddress(ipAddress: text, port: 0)])
    }

    @Test("all requests for one name share one lookup, and get its answer")
    func shared() throws {
        var played = Played()
        let requests = (0..<20).map { _ in played.ask("a") }
        #expect(played.table.threads == 1)
        try played.returns("a", Self.address("192.0.2.1"))
        for request in requests { #expect(try played.answers[request] == Self.address("192.0.2.1")) }
        #expect(played.table.threads == 0)
    }

    @Test("a name without an answer delays no other name")
    func independent() throws {
        var played = Played()
        let slow = played.ask("slow")
        let quick = played.ask("quick")
        try played.returns("quick", Self.address("192.0.2.2"))
        #expect(try played.answers[quick] == Self.address("192.0.2.2"))
        #expect(played.answers[slow] == nil)
    }

    @Test("an answer serves for its time, and a failure for a shorter one")
    func validity() throws {
        var played = Played()
        played.ask("a")
        try played.returns("a", Self.address("192.0.2.1"))
        played.pass(.milliseconds(4_999))
        #expect(try played.answers[played.ask("a")] == Self.address("192.0.2.1"))
        #expect(played.lookups(of: "a") == 0)
        played.pass(.milliseconds(1))
        played.ask("a")
        #expect(played.lookups(of: "a") == 1)
        played.ask("b")
        try played.returns("b", .failure(.notFound))
        played.pass(.milliseconds(999))
        #expect(played.answers[played.ask("b")] == .failure(.notFound))
        played.pass(.milliseconds(1))
        played.ask("b")
        #expect(played.lookups(of: "b") == 1)
    }

    @Test("a second lookup of a name begins after some seconds, and no third one ever")
    func second() throws {
        var played = Played()
        played.ask("a")
        played.pass(.milliseconds(2_999))
        played.ask("a")
        #expect(played.lookups(of: "a") == 1)
        played.pass(.milliseconds(1))
        #expect(played.lookups(of: "a") == 2)
        for _ in 0..<50 {
            played.pass(.seconds(1))
            played.ask("a", for: .carrier)
        }
        #expect(played.lookups(of: "a") == 2)
    }

    @Test("a request begins the second lookup too, and without a request there is none")
    func secondByRequest() throws {
        var played = Played()
        let request = played.ask("a")
        played.table.cancelled(request, of: "a")
        played.pass(.seconds(10))
        #expect(played.lookups(of: "a") == 1)
        played.ask("a")
        #expect(played.lookups(of: "a") == 2)
    }

    @Test("services take twelve threads and no thirteenth, and four are left for carriers")
    func threads() throws {
        var played = Played()
        for number in 0..<12 { played.ask("slow\(number)") }
        #expect(played.table.threads == 12)
        let thirteenth = played.ask("one-more")
        #expect(played.answers[thirteenth] == .failure(.busy))
        let carriers = (0..<4).map { played.ask("server\($0)", for: .carrier) }
        #expect(carriers.allSatisfy { played.answers[$0] == nil })
        #expect(played.table.threads == 16)
        #expect(played.answers[played.ask("server5", for: .carrier)] == .failure(.busy))
        // A thread is free again once its lookup has returned, however late.
        played.pass(.seconds(100))
        try played.returns("slow0", .failure(.noAnswer))
        #expect(played.table.threads == 15)
        #expect(played.answers[played.ask("server6", for: .carrier)] == nil)
    }

    @Test("if no thread is left, the last good answer serves")
    func lastGood() throws {
        var played = Played()
        played.ask("service")
        try played.returns("service", Self.address("192.0.2.9"))
        for number in 0..<12 { played.ask("slow\(number)") }
        played.pass(.seconds(60))
        #expect(try played.answers[played.ask("service")] == Self.address("192.0.2.9"))
        played.pass(.seconds(3_600))
        #expect(played.answers[played.ask("service")] == .failure(.busy))
    }

    @Test("a name server that is away leaves the last good answer, and one that denies the name does not")
    func outage() throws {
        var played = Played()
        played.ask("a")
        try played.returns("a", Self.address("192.0.2.1"))
        played.pass(.seconds(6))
        let waiting = played.ask("a")
        played.pass(.seconds(3))
        #expect(try played.answers[waiting] == Self.address("192.0.2.1"))
        // While that lookup goes on, the next request does not wait either.
        #expect(try played.answers[played.ask("a")] == Self.address("192.0.2.1"))
        try played.returns("a", .failure(.noAnswer))
        #expect(try played.answers[played.ask("a")] == Self.address("192.0.2.1"))
        played.pass(.seconds(1))
        let denied = played.ask("a")
        try played.returns("a", .failure(.notFound))
        #expect(played.answers[denied] == .failure(.notFound))
        played.pass(.seconds(1))
        let gone = played.ask("a")
        try played.returns("a", .failure(.noAnswer))
        #expect(played.answers[gone] == .failure(.noAnswer))
    }

    @Test("a late failure of the first lookup does not undo what the second one has found")
    func lateFailure() throws {
        var played = Played()
        played.ask("a")
        played.pass(.seconds(3))
        let first = try #require(played.running.first)
        let second = try #require(played.running.last)
        played.take(played.table.returned(second.lookup, try Self.address("192.0.2.1"), now: played.now))
        played.take(played.table.returned(first.lookup, .failure(.notFound), now: played.now))
        #expect(try played.answers[played.ask("a")] == Self.address("192.0.2.1"))
    }

    @Test("another configuration of the resolver: answers are dropped, and those who wait are asked for anew")
    func changed() throws {
        var played = Played()
        played.ask("known")
        try played.returns("known", Self.address("192.0.2.1"))
        let waiting = played.ask("pending")
        let old = try #require(played.running.first)
        played.take(played.table.changed(now: played.now))
        #expect(played.lookups(of: "pending") == 2)
        // What the old name servers say counts no more.
        played.running.removeFirst()
        played.take(played.table.returned(old.lookup, try Self.address("192.0.2.66"), now: played.now))
        #expect(played.answers[waiting] == nil)
        try played.returns("pending", Self.address("198.51.100.1"))
        #expect(try played.answers[waiting] == Self.address("198.51.100.1"))
        #expect(played.answers[played.ask("known")] == nil)
    }

    @Test("another configuration while threads are few: carriers are asked for first, and what is left over fails")
    func changedAtTheLimit() throws {
        var limits = NameLimits()
        (limits.threads, limits.threadsForCarriers) = (3, 1)
        var played = Played(limits)
        let service = played.ask("service")
        let carrier = played.ask("carrier", for: .carrier)
        played.take(played.table.changed(now: played.now))
        #expect(played.table.threads == 3)
        #expect(played.answers[carrier] == nil)
        #expect(played.answers[service] == .failure(.busy))
    }

    @Test("names are remembered up to a bound")
    func bounded() throws {
        var limits = NameLimits()
        limits.names = 2
        var played = Played(limits)
        for name in ["a", "b", "c"] {
            played.ask(name)
            try played.returns(name, Self.address("192.0.2.1"))
        }
        let known = try ["a", "b", "c"].filter { name in
            var copy = played
            return try copy.answers[copy.ask(name)] == Self.address("192.0.2.1")
        }
        #expect(known.count == 2)
        #expect(known.contains("c"))
    }

    @Test("nothing is watched once all answers are old and no lookup runs")
    func idle() throws {
        var played = Played()
        #expect(played.table.isIdle(now: played.now))
        played.ask("a")
        #expect(!played.table.isIdle(now: played.now))
        try played.returns("a", Self.address("192.0.2.1"))
        #expect(!played.table.isIdle(now: played.now))
        played.pass(.seconds(5))
        #expect(played.table.isIdle(now: played.now))
    }
}
