import Mux
import NIOCore
import NetworkAddress
import Synchronization
import TunnelAdmin
import TunnelCore

/// What strangers may cost before they have proved themselves. Shared by all event loops; asked a few times for each
/// connection.
///
/// A connection passes two rooms: one until its request's head has come, one until its proof has. Both have
/// ``UnauthenticatedSlots``; the second takes a rate besides, of which a quarter is kept for clients with tickets.
final class Admission: Sendable {
    /// One of the rooms.
    enum Room: Sendable {
        /// No head has come.
        case head
        /// No proof has.
        case proof
    }

    /// A place in a room, given back with ``leave(_:)``.
    struct Place: Sendable, Hashable {
        let room: Room
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
        var closes: [Place: @Sendable () -> Void] = [:]

        init(_ limits: ServerLimits, _ now: Instant) {
            self.limits = limits
            let perSecond = Double(limits.connectionsPerSecond)
            rate = TokenBucket(perSecond: perSecond, burst: perSecond, now: now)
            let arrivalsPerSecond = Double(arrivalsForEach) * perSecond
            arrivals = TokenBucket(perSecond: arrivalsPerSecond, burst: arrivalsPerSecond, now: now)
            answers = TokenBucket(perSecond: perSecond, burst: perSecond, now: now)
        }
    }

    /// Connections without a head that are taken for each that is taken with one. Four: a handshake of TLS costs a
    /// millisecond of the processor.
    static let arrivalsForEach = 4

    /// One address has at most one part in so many of the rate, and clients with tickets have as much to themselves.
    static let ratePart = 4
    /// The time over which wrong proofs are counted.
    static let proofPeriod = Duration.seconds(60)

    private let state: Mutex<State>

    init(_ limits: ServerLimits, now: Instant = .now) {
        state = Mutex(State(limits, now))
    }

    /// Whether an address comes no more often than its share: a quarter of what is taken in all, so that no single address
    /// keeps the others out. Addresses that have not come lately are forgotten. If none can be, new ones share one count.
    ///
    /// - Parameter times: how often it may come for each time that the rate counts.
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

    /// Holds connections that come from now on to other limits; those that have a place keep it.
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

    /// The address that bears a connection's costs, or one subscriber's block of IPv6. Nil for a unix socket and loopback,
    /// which stand for a front and all its clients.
    static func address(of peer: SocketAddress?) -> String? {
        guard let address = peer?.ip?.unmapped, !address.isLoopback else { return nil }
        return key(address)
    }

    /// What an address's costs are counted under.
    static func key(_ address: IPAddress) -> String { address.subscriber.description }

    /// Connections that have a place now.
    var waiting: Int { state.withLock { $0.heads.count + $0.proofs.count } }

    /// Takes a place for a connection that has been accepted; nil if there is none, or if too many come at once.
    ///
    /// - Parameter close: ends the connection, from any thread, when its place is another's.
    func arrive(_ address: String?, now: Instant = .now, close: @escaping @Sendable () -> Void = {}) -> Place? {
        enter(.head, address, isKnown: false, now, close) { state in
            if let address {
                let key = "arrival " + address
                guard Self.isWithinShare(key, times: Self.arrivalsForEach, &state, now) else { return false }
            }
            return state.arrivals.takeOne(now: now)
        }
    }

    /// Takes a place for a connection whose request wants a session; nil if there is none, or if too many come at once.
    ///
    /// - Parameters:
    ///   - address: where it comes from, as far as that is known.
    ///   - ticket: the tag of a client that the server knows.
    func enter(
        _ address: String?,
        ticket: String? = nil,
        now: Instant = .now,
        close: @escaping @Sendable () -> Void = {}
    ) -> Place? {
        enter(.proof, ticket ?? address, isKnown: ticket != nil, now, close) { state in
            if let key = ticket ?? address, !Self.isWithinShare(key, &state, now) { return false }
            let kept = ticket == nil ? Double(state.limits.connectionsPerSecond / Self.ratePart) : 0
            return state.rate.takeOne(leaving: kept, now: now)
        }
    }

    private func enter(
        _ room: Room,
        _ address: String?,
        isKnown: Bool,
        _ now: Instant,
        _ close: @escaping @Sendable () -> Void,
        _ isWithinRate: (inout State) -> Bool
    ) -> Place? {
        let (place, evicted): (Place?, [@Sendable () -> Void]) = state.withLock { state in
            let limits = state.limits
            // What an address has too much of costs the others none of the rate.
            let places = room == .head ? state.heads : state.proofs
            guard !places.isFull(address, perAddress: limits.strangersPerAddress), isWithinRate(&state) else {
                return (nil, [])
            }
            let unit = Double.random(in: 0..<1)
            let outcome =
                switch room {
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
            let place = Place(room: room, id: id)
            state.closes[place] = close
            return (place, evicted.compactMap { state.closes.removeValue(forKey: Place(room: room, id: $0)) })
        }
        for close in evicted { close() }
        return place
    }

    /// The connection has sent something of what is expected: silent ones give way before it.
    func speaks(_ place: Place) {
        state.withLock { state in
            switch place.room {
            case .head: state.heads.speaks(place.id)
            case .proof: state.proofs.speaks(place.id)
            }
        }
    }

    /// Gives a place back: authenticated, gone, or evicted.
    func leave(_ place: Place) {
        state.withLock { state in
            state.closes[place] = nil
            switch place.room {
            case .head: state.heads.leave(place.id)
            case .proof: state.proofs.leave(place.id)
            }
        }
    }

    /// Whether a request that needs no session is answered at all: such answers have a rate of their own.
    func mayAnswer(now: Instant = .now) -> Bool { state.withLock { $0.answers.takeOne(now: now) } }

    /// Counts a wrong proof, and says for how many seconds its refusal is to be held back.
    ///
    /// Holding back slows a guesser without locking out others at its address.
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
