import Mux
import TunnelCore

/// Decides which unauthenticated connections have a slot, and which are evicted under pressure. Pure.
///
/// A quarter of the slots is reserved for known clients, which have a ticket. The others are for strangers:
///
/// | slots in use | evicted for a new stranger |
/// |---|---|
/// | half | the oldest one that has been silent for ``silenceTimeout`` |
/// | all | the oldest one that has been silent for ``fullSilenceTimeout``, else a random one or the new one itself |
///
/// A known client that finds no free slot evicts a stranger. Operations that evict none are O(1).
struct UnauthenticatedSlots {
    /// Identifies a slot.
    typealias ID = UInt64

    /// The result of a request for a slot.
    enum Outcome: Equatable {
        /// The connection has the slot; `evicted` have lost theirs.
        case entered(ID, evicted: [ID])
        /// No slot is free.
        case refused
    }

    private struct Slot {
        let address: String?
        let isKnown: Bool
        let since: Instant
        var isSilent = true
    }

    /// Silence after which a stranger is evicted while half of the slots are in use.
    static let silenceTimeout = Duration.seconds(2)
    /// Silence after which a stranger is evicted while all slots are in use.
    static let fullSilenceTimeout = Duration.seconds(1)

    /// Divides the slots: one part of so many is reserved for known clients.
    static let knownPart = 4

    private var slots: [ID: Slot] = [:]
    private var next: ID = 1
    private var ofAddress: [String: Int] = [:]
    private var strangers = 0

    /// Slots in use.
    var count: Int { slots.count }

    /// The slots of `total` that strangers may use: all but a quarter.
    static func forStrangers(of total: Int) -> Int { max(1, total - total / knownPart) }

    /// Takes a slot.
    ///
    /// - Parameters:
    ///   - address: connections of one address share a limit; nil if the connection has none.
    ///   - isKnown: whether the client has a ticket.
    ///   - keepsSome: whether a quarter of the slots is reserved for known clients.
    ///   - unit: a random number from 0 to 1.
    mutating func enter(
        _ address: String?,
        isKnown: Bool = false,
        keepsSome: Bool = true,
        of total: Int,
        perAddress: Int,
        unit: Double,
        now: Instant
    ) -> Outcome {
        guard !isFull(address, perAddress: perAddress) else { return .refused }
        var evicted: [ID] = []
        let limit = keepsSome ? Self.forStrangers(of: total) : total
        // A reload may leave more slots in use than there are. Then none is evicted, and the new connection is refused.
        guard slots.count <= total, isKnown || strangers <= limit else { return .refused }
        if slots.count >= total || !isKnown && strangers >= limit {
            guard let victim = victim(isKnown: isKnown, unit: unit, now: now) else { return .refused }
            evicted.append(remove(victim))
        } else if !isKnown, strangers >= limit / 2, let old = oldestSilent(for: Self.silenceTimeout, now: now) {
            evicted.append(remove(old))
        }
        let id = next
        next += 1
        slots[id] = Slot(address: address, isKnown: isKnown, since: now)
        if !isKnown { strangers += 1 }
        if let address { ofAddress[address, default: 0] += 1 }
        return .entered(id, evicted: evicted)
    }

    /// Whether an address has reached its limit of slots.
    func isFull(_ address: String?, perAddress: Int) -> Bool {
        address.map { ofAddress[$0, default: 0] >= perAddress } ?? false
    }

    /// Notes that a connection has sent part of its request or proof.
    mutating func noteBytes(_ id: ID) {
        slots[id]?.isSilent = false
    }

    /// Frees a slot, unless it has been evicted.
    mutating func leave(_ id: ID) {
        if slots[id] != nil { _ = remove(id) }
    }

    /// The slot that is evicted for a new connection; nil if the new connection is refused.
    private func victim(isKnown: Bool, unit: Double, now: Instant) -> ID? {
        if let old = oldestSilent(for: Self.fullSilenceTimeout, now: now) { return old }
        let candidates = slots.filter { !$0.value.isKnown }.keys.sorted()
        // A known client always wins. A stranger takes part in the draw.
        let index = Int(unit * Double(candidates.count + (isKnown ? 0 : 1)))
        return index < candidates.count ? candidates[index] : candidates.isEmpty || !isKnown ? nil : candidates.last
    }

    private func oldestSilent(for time: Duration, now: Instant) -> ID? {
        let old = slots.filter { !$0.value.isKnown && $0.value.isSilent && now.since($0.value.since) >= time }
        return old.min { ($0.value.since, $0.key) < ($1.value.since, $1.key) }?.key
    }

    private mutating func remove(_ id: ID) -> ID {
        guard let slot = slots.removeValue(forKey: id) else { return id }
        if !slot.isKnown { strangers -= 1 }
        if let address = slot.address {
            let left = ofAddress[address, default: 1] - 1
            ofAddress[address] = left > 0 ? left : nil
        }
        return id
    }
}
