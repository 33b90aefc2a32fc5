import Synchronization
import TunnelCore

/// The state of a client's run for its operator: the carrier, the last error, and the public tunnels.
final class ClientProgress: Sendable {
    /// The state at one moment. Times are seconds since 1970.
    struct Facts: Sendable {
        /// The time since which there is no carrier; nil while there is one.
        var withoutCarrierSince: Int64?
        /// The last failed dial or lost carrier, in one line.
        var lastError: String?
        /// The time of that error.
        var lastErrorAt: Int64?
        /// The time of the next dial; nil while one is running or none is needed.
        var nextTry: Int64?
        /// The requested tunnels, by number.
        var tunnels: [TunnelState] = []
        /// Whether any tunnel was public in this run.
        var hasPublished = false
    }

    /// One tunnel.
    struct TunnelState: Sendable {
        let name: String
        var isPublic = false
        /// Whether it was public at any time of the run.
        var wasPublic = false
        /// Whether the program has removed it.
        var isRemoved = false
        /// The server's reason for not making it public.
        var refusal: String?
    }

    /// The outcome of a dial that an operator requested.
    enum Outcome: Sendable {
        case connected(String)
        case failed(String)
    }

    private let facts: Mutex<Facts>
    private let outcomes = Mutex<[UInt64: AsyncStream<Outcome>.Continuation]>([:])
    private let numbers = Atomic<UInt64>(0)

    /// The state of a run that begins now.
    init(tunnels: [String]) {
        var first = Facts(withoutCarrierSince: WallClock.unixSeconds)
        first.tunnels = tunnels.map { TunnelState(name: $0) }
        facts = Mutex(first)
    }

    /// Records that a tunnel was added or removed.
    func tunnel(_ index: Int, _ name: String, isRemoved: Bool) {
        facts.withLock { facts in
            if index == facts.tunnels.count { facts.tunnels.append(TunnelState(name: name)) }
            guard facts.tunnels.indices.contains(index) else { return }
            facts.tunnels[index].isRemoved = isRemoved
        }
    }

    /// The present state.
    var now: Facts { facts.withLock { $0 } }

    // MARK: The carrier

    /// Records that a dial begins.
    func dials() {
        facts.withLock { $0.nextTry = nil }
    }

    /// Records that there is a carrier.
    func connected(_ way: String) {
        facts.withLock { facts in
            facts.withoutCarrierSince = nil
            facts.nextTry = nil
        }
        report(.connected(way))
    }

    /// Records that a dial has failed, or that the carrier was lost.
    ///
    /// - Parameters:
    ///   - isDown: whether there is no carrier now.
    ///   - wait: the wait before the next dial; nil if none is planned.
    func failed(_ error: String, isDown: Bool, next wait: Duration?) {
        let now = WallClock.unixSeconds
        facts.withLock { facts in
            if isDown { facts.withoutCarrierSince = facts.withoutCarrierSince ?? now }
            facts.lastError = error
            facts.lastErrorAt = now
            facts.nextTry = wait.map { now + Int64(clamping: $0.components.seconds) }
        }
        report(.failed(error))
    }

    // MARK: Tunnels

    /// Records that a session begins, with no public tunnel.
    func beginsSession() {
        facts.withLock { facts in
            for index in facts.tunnels.indices {
                facts.tunnels[index].isPublic = false
                facts.tunnels[index].refusal = nil
            }
        }
    }

    /// Records that a tunnel is public.
    func published(_ index: Int) {
        change(index) { $0 = (true, nil) }
    }

    /// Records that a tunnel is not public, or no longer.
    func refused(_ index: Int, _ refusal: String) {
        change(index) { $0 = (false, refusal) }
    }

    private func change(_ index: Int, _ body: (inout (isPublic: Bool, refusal: String?)) -> Void) {
        facts.withLock { facts in
            guard facts.tunnels.indices.contains(index) else { return }
            var state = (isPublic: facts.tunnels[index].isPublic, refusal: facts.tunnels[index].refusal)
            body(&state)
            facts.tunnels[index].isPublic = state.isPublic
            facts.tunnels[index].refusal = state.refusal
            guard state.isPublic else { return }
            facts.tunnels[index].wasPublic = true
            facts.hasPublished = true
        }
    }

    // MARK: Outcomes

    /// Waits for the outcome of the next dial; nil after the timeout.
    ///
    /// - Parameter startDial: makes the client dial; called once the outcome cannot be missed.
    func nextOutcome(within timeout: Duration, startDial: () -> Void) async -> Outcome? {
        let (stream, continuation) = AsyncStream.makeStream(of: Outcome.self)
        let number = numbers.add(1, ordering: .relaxed).newValue
        outcomes.withLock { $0[number] = continuation }
        defer { outcomes.withLock { _ = $0.removeValue(forKey: number) } }
        startDial()
        return await withTaskGroup(of: Outcome?.self) { tasks in
            tasks.addTask { await stream.first { _ in true } }
            tasks.addTask {
                try? await Task.sleep(for: timeout)
                return nil
            }
            let first = await tasks.next() ?? nil
            tasks.cancelAll()
            return first
        }
    }

    private func report(_ outcome: Outcome) {
        for continuation in outcomes.withLock({ Array($0.values) }) { continuation.yield(outcome) }
    }
}

extension ClientProgress.Facts {
    /// The number of tunnels that are wanted and are not public.
    var unpublishedTunnels: Int { tunnels.count { !$0.isPublic && !$0.isRemoved } }

    /// The reason why the client does not serve all of its tunnels; nil if it does.
    var notReadyReason: String? {
        if let since = withoutCarrierSince {
            var text = "no connection to a server for \(max(0, WallClock.unixSeconds - since)) s"
            if let lastError { text += "; last error: \(lastError)" }
            if let nextTry { text += "; next try in \(max(0, nextTry - WallClock.unixSeconds)) s" }
            return text
        }
        guard let tunnel = tunnels.first(where: { !$0.isPublic && !$0.isRemoved }) else { return nil }
        return "tunnel \(tunnel.name) is not public" + (tunnel.refusal.map { ": \($0)" } ?? " yet")
    }
}
