import Mux
import Synchronization

/// What all sessions of a process may hold together, so that no number of clients or visitors exhausts its memory. Shared by
/// all event loops. A session reports what it holds once an iteration, if that has changed by much.
///
/// | in use | what gives way |
/// |---|---|
/// | half | windows shrink, and sockets are read a piece at a time |
/// | three quarters | new streams are refused |
/// | seven eighths | new sessions are refused |
/// | all | the session that holds the most loses its greediest streams |
///
/// It counts bytes that wait or are kept, and a charge for each stream and session. It does not count code, libraries and
/// strangers, whose bound is their own (some 40 MiB together).
package final class MemoryBudget: Sendable {
    /// What an idle session costs beside its tunnels and streams, with its carrier and TLS. Measured: 20 KiB, and 12 KiB
    /// more with TLS.
    package static let sessionCost = 32_768
    /// What each further carrier of a session costs, bytes: no more than a session with its first carrier.
    package static let furtherCarrierCost = sessionCost
    /// What a tunnel costs: its sockets that listen, its gate and its statistics. Measured: 4 to 8 KiB.
    package static let tunnelCost = 8_192
    /// Charge for a blocked carrier: bytes that it holds beyond the session's own copies.
    package static let blockedCarrierCost = 327_680
    /// Less than this would refuse ordinary work.
    package static let least = 16_777_216

    private let most: Atomic<Int>
    private let use: MemoryUse
    private let accounts = Mutex<[ObjectIdentifier: Account]>([:])
    private let isRelieving = Atomic(false)

    /// A budget of `capacity` bytes, at least ``least``.
    package init(capacity: Int = standardMemory, use: MemoryUse = MemoryUse()) {
        most = Atomic(max(capacity, Self.least))
        self.use = use
    }

    /// Bytes that may be in use. If more is in use, sessions give way until it is not.
    package var capacity: Int {
        get { most.load(ordering: .relaxed) }
        set { most.store(max(newValue, Self.least), ordering: .relaxed) }
    }

    /// Bytes in use.
    package var used: Int { use.bytes }

    /// What gives way now.
    package var pressure: MemoryPressure {
        let (used, capacity) = (used, capacity)
        if used < capacity / 2 { return .none }
        if used < capacity / 4 * 3 { return .shrinksWindows }
        return used < capacity / 8 * 7 ? .refusesStreams : .refusesSessions
    }

    /// Opens an account for a session.
    ///
    /// - Parameter shed: makes the session give back so many bytes, and calls the other function when it has.
    package func open(shed: @escaping @Sendable (Int, @escaping @Sendable () -> Void) -> Void) -> Account {
        let account = Account(self, shed: shed)
        accounts.withLock { $0[ObjectIdentifier(account)] = account }
        account.holds(0)
        return account
    }

    fileprivate func close(_ account: Account) {
        accounts.withLock { _ = $0.removeValue(forKey: ObjectIdentifier(account)) }
    }

    fileprivate func change(by bytes: Int) {
        let used = use.add(bytes)
        let capacity = capacity
        if bytes > 0, used > capacity { relieve(used - capacity) }
    }

    /// Asks the session that holds the most to give bytes back, one session at a time.
    private func relieve(_ excess: Int) {
        guard !isRelieving.exchange(true, ordering: .acquiring) else { return }
        let greediest = accounts.withLock { $0.values.max { $0.held < $1.held } }
        guard let greediest else { return isRelieving.store(false, ordering: .releasing) }
        greediest.shed(excess) { self.isRelieving.store(false, ordering: .releasing) }
    }

    /// What one session holds.
    package final class Account: Sendable {
        private let budget: MemoryBudget
        private let stored = Atomic(0)
        fileprivate let shed: @Sendable (Int, @escaping @Sendable () -> Void) -> Void
        /// Changes below this are not worth telling: with ten thousand sessions they are 40 MiB.
        private static let grain = 4_096

        fileprivate init(
            _ budget: MemoryBudget,
            shed: @escaping @Sendable (Int, @escaping @Sendable () -> Void) -> Void
        ) {
            self.budget = budget
            self.shed = shed
        }

        fileprivate var held: Int { stored.load(ordering: .relaxed) }

        /// The session holds so many bytes now. Called on its event loop alone.
        package func holds(_ bytes: Int) {
            let news = bytes + MemoryBudget.sessionCost - held
            guard abs(news) >= Self.grain || held == 0 else { return }
            stored.store(bytes + MemoryBudget.sessionCost, ordering: .relaxed)
            budget.change(by: news)
        }

        /// The session is over.
        package func close() {
            budget.close(self)
            budget.change(by: -stored.exchange(0, ordering: .relaxed))
        }

        /// What gives way now.
        package var pressure: MemoryPressure { budget.pressure }
    }
}

/// The default of the memory budget, bytes. 1 GiB: eight greedy sessions hold as much at their own bounds.
public let standardMemory = 1_073_741_824
