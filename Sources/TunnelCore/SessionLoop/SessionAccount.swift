import Mux
import Synchronization

/// What one session holds of the process's memory, as the budget and the client's share count it.
struct SessionAccount {
    private let budget: MemoryBudget
    private var account: MemoryBudget.Account?
    private var shared = 0
    /// What the client has over all its sessions; nil at a client.
    var share: ClientShare?
    /// What the role's own bookkeeping takes, bytes: tunnels, and visitors that wait.
    var fixedCost = 0
    /// Bytes of visitors that have no stream yet.
    var pendingBytes = 0

    init(_ budget: MemoryBudget) {
        self.budget = budget
    }

    /// Begins to count.
    ///
    /// - Parameter shed: makes the session give back so many bytes, and calls the other function when it has.
    mutating func open(shed: @escaping @Sendable (Int, @escaping @Sendable () -> Void) -> Void) {
        account = budget.open(shed: shed)
    }

    /// Counts what the session holds.
    ///
    /// - Parameter held: bytes of the session itself, of deferred frames and of a carrier that takes nothing.
    /// - Returns: how short of memory the process is.
    mutating func settle(_ held: Int) -> MemoryPressure {
        guard let account else { return .none }
        let held = held + pendingBytes + fixedCost
        account.holds(held)
        if let share {
            share.memory.add(held - shared, ordering: .relaxed)
            shared = held
        }
        return account.pressure
    }

    /// The session is over.
    mutating func close() {
        account?.close()
        account = nil
        share?.memory.subtract(shared, ordering: .relaxed)
        shared = 0
    }
}
