import Mux
import NIOCore
import Platform
import Synchronization

/// Looks names up on its own threads, for services, backends, servers, proxies and scripts.
///
/// An interpreter of ``NameTable``. No event loop is blocked, and no name waits for another one.
package final class HostNames: Sendable {
    /// The process's own.
    package static let shared = HostNames()

    private struct State {
        var table: NameTable
        var waiting: [NameTable.Request: EventLoopPromise<[SocketAddress]>] = [:]
        var isWatched = false
        /// The resolver's configuration as last seen; nil before the first check.
        var configuration: ResolverConfiguration??
    }

    /// A request, for those that lose their interest.
    package struct Ticket: Sendable {
        fileprivate let request: NameTable.Request
        fileprivate let name: String
    }

    /// Seconds between two checks of the clock and of the resolver's configuration.
    package static let period: UInt32 = 1

    private let state: Mutex<State>
    private let configuration: String
    private let lookUp: @Sendable (String) -> NameTable.Outcome

    /// - Parameters:
    ///   - configuration: the file whose change makes all answers outdated.
    ///   - lookUp: blocks until there is an answer.
    package init(
        _ limits: NameLimits = NameLimits(),
        configuration: String = ResolverConfiguration.path,
        lookUp: @escaping @Sendable (String) -> NameTable.Outcome = SystemLookup.addresses(of:)
    ) {
        state = Mutex(State(table: NameTable(limits)))
        self.configuration = configuration
        self.lookUp = lookUp
    }

    /// The addresses of a host, each with port 0.
    ///
    /// - Returns: a future that fails with ``NameFailure``, and a ticket if there is anything to wait for.
    package func addresses(
        of host: String,
        for purpose: NameTable.Purpose,
        on loop: any EventLoop
    ) -> (EventLoopFuture<[SocketAddress]>, Ticket?) {
        guard SystemLookup.isUsable(host) else { return (loop.makeFailedFuture(NameFailure.unusable), nil) }
        if let literal = SystemLookup.literal(host) { return (loop.makeSucceededFuture(literal), nil) }
        // Case does not matter in names.
        let name = host.lowercased()
        let promise = loop.makePromise(of: [SocketAddress].self)
        let (request, actions) = state.withLock { state in
            let (request, actions) = state.table.ask(name, for: purpose, now: .now)
            state.waiting[request] = promise
            return (request, actions)
        }
        perform(actions)
        watch()
        return (promise.futureResult, Ticket(request: request, name: name))
    }

    /// The answer is not wanted any more.
    package func cancel(_ ticket: Ticket) {
        let promise = state.withLock { state in
            state.table.cancelled(ticket.request, of: ticket.name)
            return state.waiting.removeValue(forKey: ticket.request)
        }
        promise?.fail(CancellationError())
    }

    /// Threads that run a lookup now.
    package var threads: Int { state.withLock { $0.table.threads } }

    /// Whether the resolver's configuration has been looked at.
    package var hasLooked: Bool { state.withLock { $0.configuration != nil } }

    private func perform(_ actions: [NameTable.Action]) {
        for action in actions {
            switch action {
            case .start(let lookup, let name):
                let isStarted = DetachedThread.start { [self] in returned(lookup, lookUp(name)) }
                if !isStarted { returned(lookup, .failure(.busy)) }
            case .answer(let request, let outcome):
                state.withLock { $0.waiting.removeValue(forKey: request) }?
                    .completeWith(outcome.mapError { $0 })
            }
        }
    }

    private func returned(_ lookup: NameTable.Lookup, _ outcome: NameTable.Outcome) {
        perform(state.withLock { $0.table.returned(lookup, outcome, now: .now) })
    }

    // MARK: The clock and the resolver's configuration

    /// Looks at both once a second, as long as anything depends on them.
    private func watch() {
        let isNeeded = state.withLock { state in
            defer { state.isWatched = true }
            return !state.isWatched
        }
        guard isNeeded else { return }
        let isStarted = DetachedThread.start { [self] in
            repeat {
                look()
                sleep(Self.period)
            } while !mayRest()
        }
        if !isStarted { state.withLock { $0.isWatched = false } }
    }

    private func look() {
        let found = ResolverConfiguration(path: configuration)
        let actions = state.withLock { state in
            defer { state.configuration = .some(found) }
            guard let before = state.configuration, before != found else { return state.table.tick(now: .now) }
            return state.table.changed(now: .now)
        }
        perform(actions)
    }

    private func mayRest() -> Bool {
        state.withLock { state in
            guard state.table.isIdle(now: .now) else { return false }
            state.isWatched = false
            return true
        }
    }
}
