import Mux
import NIOCore
import ProxyConnect
import Synchronization

/// What strangers may cost before they have proved who they are. Shared by all event loops; asked once a connection.
final class Admission: Sendable {
    private struct State {
        var limits: ServerLimits
        var rate: TokenBucket
        var rates: [String: TokenBucket] = [:]
        var waiting = 0
        var waitingByAddress: [String: Int] = [:]
        var failures: [String: (count: Int, since: Moment)] = [:]
    }

    private let state: Mutex<State>

    init(_ limits: ServerLimits, now: Moment = .now) {
        state = Mutex(State(limits: limits, rate: Self.rate(limits, now)))
    }

    /// Whether an address comes no more often than its share: a quarter of what is taken in all, so that nobody alone
    /// keeps everybody else out. Addresses that have not come lately are forgotten, and where none can be, new ones share
    /// one count.
    private static func isWithinShare(_ address: String, _ state: inout State, _ now: Moment) -> Bool {
        let share = Double(max(1, state.limits.connectionsPerSecond / 4))
        var key = address
        if state.rates[key] == nil, state.rates.count >= state.limits.rememberedAddresses {
            state.rates = state.rates.filter { entry in
                var bucket = entry.value
                return !bucket.isFull(now: now)
            }
            if state.rates.count >= state.limits.rememberedAddresses { key = "" }
        }
        let fresh = TokenBucket(perSecond: share, burst: share, now: now)
        return state.rates[key, default: fresh].takeOne(now: now)
    }

    private static func rate(_ limits: ServerLimits, _ now: Moment) -> TokenBucket {
        let rate = Double(limits.connectionsPerSecond)
        return TokenBucket(perSecond: rate, burst: rate, now: now)
    }

    /// Holds whoever comes from now on to other limits; who has a place keeps it.
    func update(_ limits: ServerLimits, now: Moment = .now) {
        state.withLock { state in
            if state.limits.connectionsPerSecond != limits.connectionsPerSecond {
                state.rate = Self.rate(limits, now)
                state.rates = [:]
            }
            state.limits = limits
        }
    }

    /// Whom a connection's costs are charged to: its address, or nobody in particular for a unix socket and loopback,
    /// where a front stands with everybody behind it.
    static func address(of peer: SocketAddress?) -> String? {
        guard let address = peer?.ip?.unmapped, !address.isLoopback else { return nil }
        return address.description
    }

    /// Connections that have a place now.
    var waiting: Int { state.withLock { $0.waiting } }

    /// Takes a place for a new connection; false where there is none, or where too many come at once.
    func enter(_ address: String?, now: Moment = .now) -> Bool {
        state.withLock { state in
            guard state.waiting < state.limits.strangers else { return false }
            guard let address else {
                guard state.rate.takeOne(now: now) else { return false }
                state.waiting += 1
                return true
            }
            let ofAddress = state.waitingByAddress[address, default: 0]
            guard ofAddress < state.limits.strangersPerAddress, Self.isWithinShare(address, &state, now),
                state.rate.takeOne(now: now)
            else { return false }
            state.waiting += 1
            state.waitingByAddress[address] = ofAddress + 1
            return true
        }
    }

    /// Charges a place that was nobody's in particular to an address that a front has named; false where that address
    /// has as many as it may have.
    func charge(_ address: String) -> Bool {
        state.withLock { state in
            let ofAddress = state.waitingByAddress[address, default: 0]
            guard ofAddress < state.limits.strangersPerAddress else { return false }
            state.waitingByAddress[address] = ofAddress + 1
            return true
        }
    }

    /// Gives the place back: authenticated, or gone.
    func leave(_ address: String?) {
        state.withLock { state in
            state.waiting -= 1
            guard let address else { return }
            let ofAddress = state.waitingByAddress[address, default: 1] - 1
            state.waitingByAddress[address] = ofAddress > 0 ? ofAddress : nil
        }
    }

    /// Counts a wrong proof, and says for how many seconds its refusal is to be held back.
    ///
    /// Holding back slows who guesses without locking out who shares the address.
    func failed(_ address: String?, now: Moment) -> Int {
        let address = address ?? "local"
        return state.withLock { state in
            var entry = state.failures[address] ?? (0, now)
            if now.since(entry.since) > .seconds(60) { entry = (0, now) }
            entry.count += 1
            if state.failures[address] == nil, state.failures.count >= state.limits.rememberedAddresses {
                state.failures.removeAll()
            }
            state.failures[address] = entry
            let longest = Int(clamping: state.limits.longestProofDelay.components.seconds)
            return min(max(0, entry.count - state.limits.freeProofs), longest)
        }
    }
}
