import Mux
import Synchronization
import Testing

@testable import TunnelCore

/// The reactions to the memory that sessions use (X10).
@Suite struct MemoryBudgetTests {
    private static let capacity = 64 << 20

    @Test(
        "X10 the pressure increases at each mark, and not one byte before it",
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

    @Test("X10 beyond the capacity the session that holds the most is asked once to free memory")
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
        let largest = open("largest"), smaller = open("smaller")
        largest.holds(Self.capacity - 3 * MemoryBudget.sessionCost)
        smaller.holds(MemoryBudget.sessionCost)
        #expect(budget.used == Self.capacity && asked.withLock(\.isEmpty))
        smaller.holds(MemoryBudget.sessionCost + 100_000)
        smaller.holds(MemoryBudget.sessionCost + 200_000)
        #expect(asked.withLock { $0.map(\.name) } == ["largest"])
        #expect(asked.withLock { $0.map(\.bytes) } == [100_000])
        answer.withLock { $0 }?()
        smaller.holds(MemoryBudget.sessionCost + 300_000)
        #expect(asked.withLock { $0.map(\.bytes) } == [100_000, 300_000], "the session has freed nothing")
        largest.close()
        smaller.close()
        #expect(budget.used == 0)
    }

    @Test("The budget has a minimum, and a smaller budget applies at once")
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
