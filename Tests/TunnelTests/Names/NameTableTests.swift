import Mux
import NIOCore
import Testing

@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer

@Suite("The table of names and their lookups")
struct NameTableTests {
    /// A table with its clock, running lookups and answers.
    struct Simulation {
        var table: NameTable
        var now = Instant(nanoseconds: 1_000_000_000_000)
        var running: [(lookup: NameTable.Lookup, name: String)] = []
        var answers: [NameTable.Request: NameTable.Outcome] = [:]

        init(_ limits: NameLimits = NameLimits()) {
            table = NameTable(limits)
        }

        /// The number of running lookups of a name.
        func lookups(of name: String) -> Int { running.count { $0.name == name } }

        mutating func perform(_ actions: [NameTable.Action]) {
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
            perform(actions)
            return request
        }

        /// Finishes the oldest lookup of a name.
        mutating func finish(_ name: String, _ outcome: NameTable.Outcome) throws {
            let index = try #require(running.firstIndex { $0.name == name })
            perform(table.returned(running.remove(at: index).lookup, outcome, now: now))
        }

        mutating func advance(_ time: Duration) {
            now = now + time
            perform(table.tick(now: now))
        }
    }

    static func address(_ text: String) throws -> NameTable.Outcome {
        .success([try SocketAddress(ipAddress: text, port: 0)])
    }

    @Test("All requests for one name share one lookup and its answer")
    func shared() throws {
        var simulation = Simulation()
        let requests = (0..<20).map { _ in simulation.ask("a") }
        #expect(simulation.table.threads == 1)
        try simulation.finish("a", Self.address("192.0.2.1"))
        for request in requests { #expect(try simulation.answers[request] == Self.address("192.0.2.1")) }
        #expect(simulation.table.threads == 0)
    }

    @Test("A name without an answer delays no other name")
    func independent() throws {
        var simulation = Simulation()
        let slow = simulation.ask("slow")
        let quick = simulation.ask("quick")
        try simulation.finish("quick", Self.address("192.0.2.2"))
        #expect(try simulation.answers[quick] == Self.address("192.0.2.2"))
        #expect(simulation.answers[slow] == nil)
    }

    @Test("An answer is cached for its validity, and a failure for a shorter time")
    func validity() throws {
        var simulation = Simulation()
        simulation.ask("a")
        try simulation.finish("a", Self.address("192.0.2.1"))
        simulation.advance(.milliseconds(4_999))
        #expect(try simulation.answers[simulation.ask("a")] == Self.address("192.0.2.1"))
        #expect(simulation.lookups(of: "a") == 0)
        simulation.advance(.milliseconds(1))
        simulation.ask("a")
        #expect(simulation.lookups(of: "a") == 1)
        simulation.ask("b")
        try simulation.finish("b", .failure(.notFound))
        simulation.advance(.milliseconds(999))
        #expect(simulation.answers[simulation.ask("b")] == .failure(.notFound))
        simulation.advance(.milliseconds(1))
        simulation.ask("b")
        #expect(simulation.lookups(of: "b") == 1)
    }

    @Test("A second lookup of a name begins after 3 s, and there is no third one")
    func second() throws {
        var simulation = Simulation()
        simulation.ask("a")
        simulation.advance(.milliseconds(2_999))
        simulation.ask("a")
        #expect(simulation.lookups(of: "a") == 1)
        simulation.advance(.milliseconds(1))
        #expect(simulation.lookups(of: "a") == 2)
        for _ in 0..<50 {
            simulation.advance(.seconds(1))
            simulation.ask("a", for: .carrier)
        }
        #expect(simulation.lookups(of: "a") == 2)
    }

    @Test("A request can start the second lookup, and without a request there is none")
    func secondByRequest() throws {
        var simulation = Simulation()
        let request = simulation.ask("a")
        simulation.table.cancelled(request, of: "a")
        simulation.advance(.seconds(10))
        #expect(simulation.lookups(of: "a") == 1)
        simulation.ask("a")
        #expect(simulation.lookups(of: "a") == 2)
    }

    @Test("Services use at most 12 threads, and four more are reserved for carriers")
    func threads() throws {
        var simulation = Simulation()
        for number in 0..<12 { simulation.ask("slow\(number)") }
        #expect(simulation.table.threads == 12)
        let thirteenth = simulation.ask("one-more")
        #expect(simulation.answers[thirteenth] == .failure(.busy))
        let carriers = (0..<4).map { simulation.ask("server\($0)", for: .carrier) }
        #expect(carriers.allSatisfy { simulation.answers[$0] == nil })
        #expect(simulation.table.threads == 16)
        #expect(simulation.answers[simulation.ask("server5", for: .carrier)] == .failure(.busy))
        // A late lookup frees its thread when it returns.
        simulation.advance(.seconds(100))
        try simulation.finish("slow0", .failure(.noAnswer))
        #expect(simulation.table.threads == 15)
        #expect(simulation.answers[simulation.ask("server6", for: .carrier)] == nil)
    }

    private static let alice = NameTable.Purpose.destination(client: [1])
    private static let bob = NameTable.Purpose.destination(client: [2])

    @Test("A client's destinations use at most four threads, and its next name waits for one of them")
    func threadsPerClient() throws {
        var simulation = Simulation()
        let slow = (0..<4).map { simulation.ask("slow\($0)", for: Self.alice) }
        let fifth = simulation.ask("fifth", for: Self.alice)
        let sixth = simulation.ask("sixth", for: Self.alice)
        #expect(simulation.table.threads == 4 && simulation.answers.isEmpty)
        simulation.ask("one", for: Self.bob)
        simulation.ask("two")
        #expect(simulation.table.threads == 6)
        // A slow name gets no second thread, and a name without a request keeps its own.
        for (number, request) in slow.enumerated() { simulation.table.cancelled(request, of: "slow\(number)") }
        simulation.advance(.seconds(10))
        #expect(simulation.lookups(of: "slow0") == 1 && simulation.lookups(of: "fifth") == 0)
        try simulation.finish("slow0", .failure(.noAnswer))
        #expect(simulation.lookups(of: "fifth") == 1 && simulation.lookups(of: "sixth") == 0)
        try simulation.finish("fifth", Self.address("192.0.2.5"))
        #expect(try simulation.answers[fifth] == Self.address("192.0.2.5"))
        simulation.table.cancelled(sixth, of: "sixth")
        try simulation.finish("sixth", Self.address("192.0.2.6"))
        #expect(simulation.answers[sixth] == nil)
    }

    @Test("A name that waits for a thread of its client is looked up at once for another client")
    func waitsForAnother() throws {
        var simulation = Simulation()
        for number in 0..<4 { simulation.ask("slow\(number)", for: Self.alice) }
        let waiting = simulation.ask("shared", for: Self.alice)
        let second = simulation.ask("shared", for: Self.bob)
        #expect(simulation.lookups(of: "shared") == 1)
        try simulation.finish("shared", Self.address("192.0.2.1"))
        for request in [waiting, second] {
            #expect(try simulation.answers[request] == Self.address("192.0.2.1"))
        }
        try simulation.finish("slow0", .failure(.noAnswer))
        #expect(simulation.lookups(of: "shared") == 0, "it has been answered")
    }

    @Test("Threads of a resolver configuration that holds no more count among their client's")
    func outdatedThreads() throws {
        var simulation = Simulation()
        let requests = (0..<3).map { simulation.ask("slow\($0)", for: Self.alice) }
        simulation.perform(simulation.table.changed(now: simulation.now))
        #expect(simulation.table.threads == 4)
        #expect(simulation.answers.isEmpty)
        for _ in 0..<3 {
            simulation.perform(
                simulation.table.returned(
                    simulation.running.removeFirst().lookup,
                    .failure(.noAnswer),
                    now: simulation.now
                )
            )
        }
        #expect(simulation.table.threads == 3)
        for number in 0..<3 { try simulation.finish("slow\(number)", Self.address("192.0.2.1")) }
        for request in requests { #expect(try simulation.answers[request] == Self.address("192.0.2.1")) }
    }

    @Test("If no thread is free, the last good answer is used")
    func lastGood() throws {
        var simulation = Simulation()
        simulation.ask("service")
        try simulation.finish("service", Self.address("192.0.2.9"))
        for number in 0..<12 { simulation.ask("slow\(number)") }
        simulation.advance(.seconds(60))
        #expect(try simulation.answers[simulation.ask("service")] == Self.address("192.0.2.9"))
        simulation.advance(.seconds(3_600))
        #expect(simulation.answers[simulation.ask("service")] == .failure(.busy))
    }

    @Test("If the name server is unreachable, the last good answer is used; if it denies the name, it is not")
    func outage() throws {
        var simulation = Simulation()
        simulation.ask("a")
        try simulation.finish("a", Self.address("192.0.2.1"))
        simulation.advance(.seconds(6))
        let waiting = simulation.ask("a")
        simulation.advance(.seconds(3))
        #expect(try simulation.answers[waiting] == Self.address("192.0.2.1"))
        // During that lookup the next request does not wait either.
        #expect(try simulation.answers[simulation.ask("a")] == Self.address("192.0.2.1"))
        try simulation.finish("a", .failure(.noAnswer))
        #expect(try simulation.answers[simulation.ask("a")] == Self.address("192.0.2.1"))
        simulation.advance(.seconds(1))
        let denied = simulation.ask("a")
        try simulation.finish("a", .failure(.notFound))
        #expect(simulation.answers[denied] == .failure(.notFound))
        simulation.advance(.seconds(1))
        let gone = simulation.ask("a")
        try simulation.finish("a", .failure(.noAnswer))
        #expect(simulation.answers[gone] == .failure(.noAnswer))
    }

    @Test("A late failure of the first lookup does not replace the answer of the second")
    func lateFailure() throws {
        var simulation = Simulation()
        simulation.ask("a")
        simulation.advance(.seconds(3))
        let first = try #require(simulation.running.first)
        let second = try #require(simulation.running.last)
        simulation.perform(simulation.table.returned(second.lookup, try Self.address("192.0.2.1"), now: simulation.now))
        simulation.perform(simulation.table.returned(first.lookup, .failure(.notFound), now: simulation.now))
        #expect(try simulation.answers[simulation.ask("a")] == Self.address("192.0.2.1"))
    }

    @Test("A changed resolver configuration drops answers and repeats pending lookups")
    func changed() throws {
        var simulation = Simulation()
        simulation.ask("known")
        try simulation.finish("known", Self.address("192.0.2.1"))
        let waiting = simulation.ask("pending")
        let old = try #require(simulation.running.first)
        simulation.perform(simulation.table.changed(now: simulation.now))
        #expect(simulation.lookups(of: "pending") == 2)
        // Answers of the old name servers are ignored.
        simulation.running.removeFirst()
        simulation.perform(simulation.table.returned(old.lookup, try Self.address("192.0.2.66"), now: simulation.now))
        #expect(simulation.answers[waiting] == nil)
        try simulation.finish("pending", Self.address("198.51.100.1"))
        #expect(try simulation.answers[waiting] == Self.address("198.51.100.1"))
        #expect(simulation.answers[simulation.ask("known")] == nil)
    }

    @Test("With few threads, a changed configuration first repeats the lookups of carriers, and the rest fail")
    func changedAtTheLimit() throws {
        var limits = NameLimits()
        (limits.threads, limits.threadsForCarriers) = (3, 1)
        var simulation = Simulation(limits)
        let service = simulation.ask("service")
        let carrier = simulation.ask("carrier", for: .carrier)
        simulation.perform(simulation.table.changed(now: simulation.now))
        #expect(simulation.table.threads == 3)
        #expect(simulation.answers[carrier] == nil)
        #expect(simulation.answers[service] == .failure(.busy))
    }

    @Test("The number of cached names is limited")
    func bounded() throws {
        var limits = NameLimits()
        limits.names = 2
        var simulation = Simulation(limits)
        for name in ["a", "b", "c"] {
            simulation.ask(name)
            try simulation.finish(name, Self.address("192.0.2.1"))
        }
        let known = try ["a", "b", "c"].filter { name in
            var copy = simulation
            return try copy.answers[copy.ask(name)] == Self.address("192.0.2.1")
        }
        #expect(known.count == 2)
        #expect(known.contains("c"))
    }

    @Test("The table is idle if all answers have expired and no lookup runs")
    func idle() throws {
        var simulation = Simulation()
        #expect(simulation.table.isIdle(now: simulation.now))
        simulation.ask("a")
        #expect(!simulation.table.isIdle(now: simulation.now))
        try simulation.finish("a", Self.address("192.0.2.1"))
        #expect(!simulation.table.isIdle(now: simulation.now))
        simulation.advance(.seconds(5))
        #expect(simulation.table.isIdle(now: simulation.now))
    }
}
