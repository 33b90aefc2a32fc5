import Mux
import NIOCore
import NetworkAddress
import Synchronization
import TunnelAdmin
import TunnelCore

/// The limits of unauthenticated connections. All event loops share it, and ask it a few times for each connection.
///
/// ```
///  accepted ──▶ head: slots, rate of connections ──▶ proof: slots, rate of requests ──▶ authenticated
/// ```
///
/// A quarter of the rate of requests is reserved for clients with tickets, and no address gets more than a quarter of it.
final class Admission: Sendable {
    /// The stage of an unauthenticated connection.
    enum Stage: Sendable {
        /// Until the request's head has arrived.
        case head
        /// Until the client's proof has arrived.
        case proof
    }

    /// A slot of a stage. ``leave(_:)`` frees it.
    struct Slot: Sendable, Hashable {
        let stage: Stage
        fileprivate let id: UnauthenticatedSlots.ID
    }

    private struct State {
        var limits: ServerLimits
        var rate: TokenBucket
        var arrivals: TokenBucket
        var answers: TokenBucket
        var rates: [String: TokenBucket] = [:]
        var heads = UnauthenticatedSlots()
        var proofs = UnauthenticatedSlots()
        var failures: [String: (count: Int, since: Instant)] = [:]
        var closes: [Slot: @Sendable () -> Void] = [:]

        init(_ limits: ServerLimits, _ now: Instant) {
            self.limits = limits
            let perSecond = Double(limits.connectionsPerSecond)
            rate = TokenBucket(perSecond: perSecond, burst: perSecond, now: now)
            let arrivalsPerSecond = Double(arrivalsForEach) * perSecond
            arrivals = TokenBucket(perSecond: arrivalsPerSecond, burst: arrivalsPerSecond, now: now)
            answers = TokenBucket(perSecond: perSecond, burst: perSecond, now: now)
        }
    }

    /// Connections that are accepted for each request of the rate. Four, because a TLS handshake costs a millisecond of
    /// processor time.
    static let arrivalsForEach = 4

    /// Divides the rate: one part of so many is the share of an address, and another part is reserved for tickets.
    static let ratePart = 4
    /// Time over which wrong proofs are counted.
    static let proofPeriod = Duration.seconds(60)

    private let state: Mutex<State>

    init(_ limits: ServerLimits, now: Instant = .now) {
        state = Mutex(State(limits, now))
    }

    /// Whether an address is within its share of the rate.
    ///
    /// Addresses whose share is unused are forgotten. If all remembered addresses are active, new ones share one count.
    ///
    /// - Parameter times: multiplies the share.
    private static func isWithinShare(_ address: String, times: Int = 1, _ state: inout State, _ now: Instant) -> Bool {
        let share = Double(times * max(1, state.limits.connectionsPerSecond / ratePart))
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

    /// Applies other limits to new connections. Present connections keep their slots.
    func update(_ limits: ServerLimits, now: Instant = .now) {
        state.withLock { state in
            if state.limits.connectionsPerSecond != limits.connectionsPerSecond {
                let fresh = State(limits, now)
                (state.rate, state.arrivals, state.answers) = (fresh.rate, fresh.arrivals, fresh.answers)
                state.rates = [:]
            }
            state.limits = limits
        }
    }

    /// The address that a connection counts for: an IPv4 address, or a subscriber's block of IPv6.
    ///
    /// Nil for unix sockets and loopback, where one front may stand for all its clients.
    static func address(of peer: SocketAddress?) -> String? {
        guard let address = peer?.ip?.unmapped, !address.isLoopback else { return nil }
        return key(address)
    }

    /// The key under which an address is counted.
    static func key(_ address: IPAddress) -> String { address.subscriber.description }

    /// Connections that have a slot now.
    var waiting: Int { state.withLock { $0.heads.count + $0.proofs.count } }

    /// Takes a slot for an accepted connection.
    ///
    /// - Parameter close: closes the connection, from any thread, if its slot is given to another one.
    /// - Returns: nil if no slot is free, or if connections arrive too fast.
    func arrive(_ address: String?, now: Instant = .now, close: @escaping @Sendable () -> Void = {}) -> Slot? {
        enter(.head, address, isKnown: false, now, close) { state in
            if let address {
                let key = "arrival " + address
                guard Self.isWithinShare(key, times: Self.arrivalsForEach, &state, now) else { return false }
            }
            return state.arrivals.takeOne(now: now)
        }
    }

    /// Takes a slot for a connection whose request opens a session.
    ///
    /// - Parameters:
    ///   - address: the origin, as far as it is known.
    ///   - ticket: the tag of a client that the server knows.
    /// - Returns: nil if no slot is free, or if requests arrive too fast.
    func enter(
        _ address: String?,
        ticket: String? = nil,
        now: Instant = .now,
        close: @escaping @Sendable () -> Void = {}
    ) -> Slot? {
        enter(.proof, ticket ?? address, isKnown: ticket != nil, now, close) { state in
            if let key = ticket ?? address, !Self.isWithinShare(key, &state, now) { return false }
            let kept = ticket == nil ? Double(state.limits.connectionsPerSecond / Self.ratePart) : 0
            return state.rate.takeOne(leaving: kept, now: now)
        }
    }

    private func enter(
        _ stage: Stage,
        _ address: String?,
        isKnown: Bool,
        _ now: Instant,
        _ close: @escaping @Sendable () -> Void,
        _ isWithinRate: (inout State) -> Bool
    ) -> Slot? {
        let (slot, evicted): (Slot?, [@Sendable () -> Void]) = state.withLock { state in
            let limits = state.limits
            // A connection that its address's limit refuses must not use up the rate of the others.
            let slots = stage == .head ? state.heads : state.proofs
            guard !slots.isFull(address, perAddress: limits.strangersPerAddress), isWithinRate(&state) else {
                return (nil, [])
            }
            let unit = Double.random(in: 0..<1)
            let outcome =
                switch stage {
                case .head:
                    state.heads.enter(
                        address,
                        keepsSome: false,
                        of: limits.silentStrangers,
                        perAddress: limits.strangersPerAddress,
                        unit: unit,
                        now: now
                    )
                case .proof:
                    state.proofs.enter(
                        address,
                        isKnown: isKnown,
                        of: limits.strangers,
                        perAddress: limits.strangersPerAddress,
                        unit: unit,
                        now: now
                    )
                }
            guard case .entered(let id, let evicted) = outcome else { return (nil, []) }
            let slot = Slot(stage: stage, id: id)
            state.closes[slot] = close
            return (slot, evicted.compactMap { state.closes.removeValue(forKey: Slot(stage: stage, id: $0)) })
        }
        for close in evicted { close() }
        return slot
    }

    /// Notes that a connection has sent part of its request or proof. Silent ones are evicted before it.
    func noteBytes(_ slot: Slot) {
        state.withLock { state in
            switch slot.stage {
            case .head: state.heads.noteBytes(slot.id)
            case .proof: state.proofs.noteBytes(slot.id)
            }
        }
    }

    /// Frees a slot: the connection is authenticated, gone, or evicted.
    func leave(_ slot: Slot) {
        state.withLock { state in
            state.closes[slot] = nil
            switch slot.stage {
            case .head: state.heads.leave(slot.id)
            case .proof: state.proofs.leave(slot.id)
            }
        }
    }

    /// Whether a request that opens no session is answered. Such answers have their own rate.
    func mayAnswer(now: Instant = .now) -> Bool { state.withLock { $0.answers.takeOne(now: now) } }

    /// Counts a wrong proof.
    ///
    /// The delay slows a guesser, and does not lock out others at the same address.
    ///
    /// - Returns: the delay of the refusal, in seconds.
    func failed(_ address: String?, now: Instant) -> Int {
        let address = address ?? "local"
        return state.withLock { state in
            var entry = state.failures[address] ?? (0, now)
            if now.since(entry.since) > Self.proofPeriod { entry = (0, now) }
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
