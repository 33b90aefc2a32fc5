import Mux
import NIOCore

/// Decides which names are looked up, by how many threads, and which answers are given meanwhile.
///
/// Lookups block their thread until the system's resolver returns, and cannot be stopped. All requests for one name
/// share one lookup, so that a name without an answer takes at most two threads.
package struct NameTable {
    /// What an answer is for.
    package enum Purpose: Sendable, Hashable {
        /// A server, a proxy, or the script that names proxies: what sessions depend on.
        case carrier
        /// A service or a backend.
        case service
        /// A destination that a client has named, whose id this is.
        case destination(client: [UInt8])
    }

    package typealias Outcome = Result<[SocketAddress], NameFailure>

    /// One request for a name.
    package struct Request: Sendable, Hashable {
        fileprivate let number: UInt64
    }

    /// One lookup on a thread.
    package struct Lookup: Sendable, Hashable {
        fileprivate let number: UInt64
    }

    package enum Action: Equatable {
        /// Looks a name up on a thread, and says so by ``NameTable/returned(_:_:now:)``.
        case start(Lookup, name: String)
        case answer(Request, Outcome)
    }

    private struct Running {
        let name: String
        let since: Instant
        let purpose: Purpose
    }

    private struct Answer {
        let outcome: Outcome
        let until: Instant
    }

    private struct Name {
        var answer: Answer?
        var lastGood: Answer?
        var waiting: [(request: Request, purpose: Purpose)] = []

        func fresh(now: Instant) -> Outcome? { answer.flatMap { $0.until > now ? $0.outcome : nil } }

        func old(now: Instant) -> Outcome? { lastGood.flatMap { $0.until > now ? $0.outcome : nil } }

        /// What its next lookup is for. Those come first that may take more threads.
        var purpose: Purpose? {
            let purposes = waiting.lazy.map(\.purpose)
            return purposes.first { $0 == .carrier } ?? purposes.first { $0 == .service } ?? purposes.first
        }
    }

    private let limits: NameLimits
    private var names: [String: Name] = [:]
    /// Running lookups.
    private var running: [Lookup: Running] = [:]
    /// Lookups by a configuration that holds no more: they keep their threads, and their answers are dropped.
    private var outdated: [Lookup: Purpose] = [:]
    /// Names that wait for a thread of their client, in the order of their requests.
    private var queue: [String] = []
    private var numbers: UInt64 = 0

    package init(_ limits: NameLimits) {
        self.limits = limits
    }

    /// Threads that are taken.
    package var threads: Int { running.count + outdated.count }

    /// Whether nothing is kept that a changed configuration or the passing of time would change.
    package func isIdle(now: Instant) -> Bool {
        threads == 0 && names.values.allSatisfy { $0.fresh(now: now) == nil && $0.waiting.isEmpty }
    }

    // MARK: Inputs

    /// A name is wanted. The answer is an action of this or of a later input.
    package mutating func ask(_ name: String, for purpose: Purpose, now: Instant) -> (Request, [Action]) {
        let request = Request(number: next())
        if names[name] == nil {
            makeRoom(now: now)
            names[name] = Name()
        }
        if let answer = names[name]?.fresh(now: now) { return (request, [.answer(request, answer)]) }
        let lookups = running.values.filter { $0.name == name }
        let isSlow = lookups.contains { now.since($0.since) >= limits.patience }
        var actions: [Action] = []
        if lookups.isEmpty || isSlow {
            if isSlow, let old = names[name]?.old(now: now) { return (request, [.answer(request, old)]) }
            if let start = start(name, for: purpose, now: now) {
                actions = [start]
            } else if lookups.isEmpty {
                if let old = names[name]?.old(now: now) { return (request, [.answer(request, old)]) }
                guard hasAllThreads(purpose) else { return (request, [.answer(request, .failure(.busy))]) }
                if !queue.contains(name) { queue.append(name) }
            }
        }
        names[name]?.waiting.append((request, purpose))
        return (request, actions)
    }

    /// The answer is not wanted any more.
    package mutating func cancelled(_ request: Request, of name: String) {
        names[name]?.waiting.removeAll { $0.request == request }
    }

    /// A lookup has returned, and its thread is free.
    package mutating func returned(_ lookup: Lookup, _ outcome: Outcome, now: Instant) -> [Action] {
        outdated[lookup] = nil
        guard let name = running.removeValue(forKey: lookup)?.name else { return startQueued(now: now) }
        var known = names[name] ?? Name()
        switch outcome {
        case .success:
            known.answer = Answer(outcome: outcome, until: now + limits.validity)
            known.lastGood = Answer(outcome: outcome, until: now + limits.lastGoodValidity)
        case .failure(let failure):
            // A second lookup that fails says nothing about what the first one has found.
            if case .success? = known.fresh(now: now) { break }
            if failure == .notFound { known.lastGood = nil }
            known.answer = Answer(
                outcome: known.old(now: now) ?? outcome,
                until: now + limits.failureValidity
            )
        }
        names[name] = known
        return answer(name, with: known.answer?.outcome ?? outcome) + startQueued(now: now)
    }

    /// Time has passed: answers from the cache, or begins a second lookup if the first one is slow.
    package mutating func tick(now: Instant) -> [Action] {
        var actions: [Action] = []
        for name in slowNames(now: now) {
            guard names[name]?.waiting.isEmpty == false else { continue }
            if let old = names[name]?.old(now: now) {
                actions += answer(name, with: old)
            } else {
                let purpose = names[name]?.purpose ?? .service
                if let start = start(name, for: purpose, now: now) { actions.append(start) }
            }
        }
        names = names.filter { !$0.value.waiting.isEmpty || $0.value.fresh(now: now) ?? $0.value.old(now: now) != nil }
        return actions
    }

    /// The resolver's configuration has changed: what was learnt by the old one holds no more, and what waits is asked
    /// again.
    package mutating func changed(now: Instant) -> [Action] {
        outdated.merge(running.mapValues(\.purpose)) { $1 }
        running = [:]
        names = names.compactMapValues { $0.waiting.isEmpty ? nil : Name(waiting: $0.waiting) }
        // Carriers come first if threads are few.
        let order = names.sorted { left, right in
            left.value.purpose == .carrier && right.value.purpose != .carrier
        }
        queue = []
        return order.flatMap { name, known -> [Action] in
            let purpose = known.purpose ?? .service
            if let start = start(name, for: purpose, now: now) { return [start] }
            if hasAllThreads(purpose) {
                queue.append(name)
                return []
            }
            return answer(name, with: .failure(.busy))
        }
    }

    // MARK: Parts

    private mutating func next() -> UInt64 {
        numbers += 1
        return numbers
    }

    /// Takes a thread for a lookup, if one may be taken.
    private mutating func start(_ name: String, for purpose: Purpose, now: Instant) -> Action? {
        let most = purpose == .carrier ? limits.threads : limits.threads - limits.threadsForCarriers
        guard threads < most, running.values.count(where: { $0.name == name }) < limits.threadsPerName,
            !hasAllThreads(purpose)
        else {
            return nil
        }
        let lookup = Lookup(number: next())
        running[lookup] = Running(name: name, since: now, purpose: purpose)
        return .start(lookup, name: name)
    }

    /// Whether a client has as many threads as it may have, including those whose answer is not needed any more.
    private func hasAllThreads(_ purpose: Purpose) -> Bool {
        guard case .destination = purpose else { return false }
        let own = running.values.count { $0.purpose == purpose } + outdated.values.count { $0 == purpose }
        return own >= limits.threadsPerClient
    }

    /// Starts the lookups that wait for a thread of their client, as far as it has one.
    private mutating func startQueued(now: Instant) -> [Action] {
        let waiting = queue
        queue = []
        var actions: [Action] = []
        for name in waiting {
            // Its answer may not be wanted any more, or another request has begun its lookup.
            guard let purpose = names[name]?.purpose, !running.values.contains(where: { $0.name == name }) else {
                continue
            }
            if let start = start(name, for: purpose, now: now) { actions.append(start) } else { queue.append(name) }
        }
        return actions
    }

    private mutating func answer(_ name: String, with outcome: Outcome) -> [Action] {
        let waiting = names[name]?.waiting ?? []
        names[name]?.waiting = []
        return waiting.map { .answer($0.request, outcome) }
    }

    private func slowNames(now: Instant) -> Set<String> {
        Set(running.values.lazy.filter { now.since($0.since) >= limits.patience }.map(\.name))
    }

    /// Forgets a name for another one. A name that is waited for has a lookup, so that there are few of those.
    private mutating func makeRoom(now: Instant) {
        guard names.count >= limits.names else { return }
        let stale = names.first { $0.value.waiting.isEmpty && $0.value.fresh(now: now) == nil }
        guard let name = (stale ?? names.first { $0.value.waiting.isEmpty })?.key else { return }
        names[name] = nil
    }
}
