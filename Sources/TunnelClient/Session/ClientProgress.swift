import Synchronization
import TunnelCore

/// The state of a client's run, for its operator: whether there is a carrier, why not, and which tunnels are public.
final class ClientProgress: Sendable {
    /// A moment's facts. Times are seconds since 1970.
    struct Facts: Sendable {
        /// Since when there is no carrier; nil while there is one.
        var withoutCarrierSince: Int64?
        /// The last failed dial or lost carrier, in one line.
        var lastError: String?
        var lastErrorAt: Int64?
        /// When the next dial begins; nil while one is running or none is needed.
        var nextTry: Int64?
        /// The tunnels that were asked for, by number.
        var tunnels: [TunnelState] = []
        /// Whether any tunnel was public in this run.
        var hasPublished = false
    }

    /// One tunnel.
    struct TunnelState: Sendable {
        let name: String
        var isPublic = false
        /// Why the server does not make it public.
        var refusal: String?
    }

    /// How a dial ended that an operator has asked for.
    enum Outcome: Sendable {
        case connected(String)
        case failed(String)
    }

    private let facts: Mutex<Facts>
    private let outcomes = Mutex<[UInt64: AsyncStream<Outcome>.Continuation]>([:])
    private let numbers = Atomic<UInt64>(0)

    /// A run that begins now.
    init(tunnels: [String]) {
        var first = Facts(withoutCarrierSince: WallClock.unixSeconds)
        first.tunnels = tunnels.map { TunnelState(name: $0) }
        facts = Mutex(first)
    }

    /// What is so now.
    var now: Facts { facts.withLock { $0 } }

    // MARK: The carrier

    /// A dial begins.
    func dials() {
        facts.withLock { $0.nextTry = nil }
    }

    /// There is a carrier.
    func connected(_ way: String) {
        facts.withLock { facts in
            facts.withoutCarrierSince = nil
            facts.nextTry = nil
        }
        tell(.connected(way))
    }

    /// A dial has failed, or the carrier was lost.
    ///
    /// - Parameters:
    ///   - isDown: whether there is no carrier now.
    ///   - wait: how long until the next dial; nil if none is planned.
    func failed(_ error: String, isDown: Bool, next wait: Duration?) {
        let now = WallClock.unixSeconds
        facts.withLock { facts in
            if isDown { facts.withoutCarrierSince = facts.withoutCarrierSince ?? now }
            facts.lastError = error
            facts.lastErrorAt = now
            facts.nextTry = wait.map { now + Int64(clamping: $0.components.seconds) }
        }
        tell(.failed(error))
    }

    // MARK: Tunnels

    /// A session begins: nothing is public.
    func beginsSession() {
        facts.withLock { facts in
            for index in facts.tunnels.indices {
                facts.tunnels[index].isPublic = false
                facts.tunnels[index].refusal = nil
            }
        }
    }

    /// A tunnel is public.
    func published(_ index: Int) {
        change(index) { $0 = (true, nil) }
    }

    /// The server does not make a tunnel public, or does so no more.
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
            if state.isPublic { facts.hasPublished = true }
        }
    }

    // MARK: Waiting for it

    /// How the next dial ends; nil if it takes longer than `patience`.
    ///
    /// - Parameter asking: what makes the client dial; called once the answer cannot be missed.
    func nextOutcome(within patience: Duration, asking: () -> Void) async -> Outcome? {
        let (stream, continuation) = AsyncStream.makeStream(of: Outcome.self)
        let number = numbers.add(1, ordering: .relaxed).newValue
        outcomes.withLock { $0[number] = continuation }
        defer { outcomes.withLock { _ = $0.removeValue(forKey: number) } }
        asking()
        return await withTaskGroup(of: Outcome?.self) { tasks in
            tasks.addTask { await stream.first { _ in true } }
            tasks.addTask {
                try? await Task.sleep(for: patience)
                return nil
            }
            let first = await tasks.next() ?? nil
            tasks.cancelAll()
            return first
        }
    }

    private func tell(_ outcome: Outcome) {
        for continuation in outcomes.withLock({ Array($0.values) }) { continuation.yield(outcome) }
    }
}

extension ClientProgress.Facts {
    /// Why the client does not do what it is there for; nil if it does.
    var notReadyReason: String? {
        if let since = withoutCarrierSince {
            var text = "no connection to a server for \(max(0, WallClock.unixSeconds - since)) s"
            if let lastError { text += "; last error: \(lastError)" }
            if let nextTry { text += "; next try in \(max(0, nextTry - WallClock.unixSeconds)) s" }
            return text
        }
        guard let tunnel = tunnels.first(where: { !$0.isPublic }) else { return nil }
        return "tunnel \(tunnel.name) is not public" + (tunnel.refusal.map { ": \($0)" } ?? " yet")
    }
}
