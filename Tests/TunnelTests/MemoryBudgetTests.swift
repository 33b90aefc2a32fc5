import Mux
import Synchronization
import Testing

@testable import TunnelCore

/// The process's memory for sessions: what gives way, when, and who (X10).
@Suite struct MemoryBudgetTests {
    private static let capacity = 64 << 20

    @Test(
        "X10 what gives way at each mark, and one byte before it",
        arguments: zip([2, 4, 8], [MemoryPressure.shrinksWindows, .refusesStreams, .refusesSessions])
    )
    func marks(share: Int, pressure: MemoryPressure) {
        let budget = MemoryBudget(capacity: Self.capacity)
        let account = budget.open { _, done in done() }
        let mark = Self.capacity / share * (share - 1) - MemoryBudget.sessionCost
        account.holds(mark - 1)
        #expect(budget.pressure.rawValue == pressure.rawValue - 1)
        account.holds(0)
        account.holds(mark)
        #expect(budget.pressure == pressure && account.pressure == pressure)
        account.close()
        #expect(budget.used == 0 && budget.pressure == .none)
    }

    @Test("X10 at its last byte nobody loses anything; past it the session that holds the most is turned to, once")
    func relief() {
        let budget = MemoryBudget(capacity: Self.capacity)
        let asked = Mutex<[(name: String, bytes: Int)]>([])
        let answer = Mutex<(@Sendable () -> Void)?>(nil)
        func open(_ name: String) -> MemoryBudget.Account {
            budget.open { bytes, done in
                asked.withLock { $0.append((name, bytes)) }
                answer.withLock { $0 = done }
            }
        }
        let greedy = open("greedy"), modest = open("modest")
        greedy.holds(Self.capacity - 3 * MemoryBudget.sessionCost)
        modest.holds(MemoryBudget.sessionCost)
        #expect(budget.used == Self.capacity && asked.withLock(\.isEmpty))
        modest.holds(MemoryBudget.sessionCost + 100_000)
        modest.holds(MemoryBudget.sessionCost + 200_000)
        #expect(asked.withLock { $0.map(\.name) } == ["greedy"])
        #expect(asked.withLock { $0.map(\.bytes) } == [100_000])
        answer.withLock { $0 }?()
        modest.holds(MemoryBudget.sessionCost + 300_000)
        #expect(asked.withLock { $0.map(\.bytes) } == [100_000, 300_000], "it has given nothing back")
        greedy.close()
        modest.close()
        #expect(budget.used == 0)
    }

    @Test("Less than the least is the least, and a smaller budget counts from now on")
    func capacities() {
        let budget = MemoryBudget(capacity: 1)
        #expect(budget.capacity == MemoryBudget.least)
        budget.capacity = Self.capacity
        let account = budget.open { _, done in done() }
        account.holds(Self.capacity / 4)
        #expect(budget.pressure == .none)
        budget.capacity = Self.capacity / 4
        #expect(budget.pressure == .refusesSessions)
        account.close()
    }
}
