import Mux
import TunnelCore

/// Decides which connections have places before they have proved themselves, and which give way under pressure. Pure.
///
/// A quarter of all places is for clients that the server knows by their tickets. Of the strangers' places
/// | in use | what gives way for a newcomer |
/// |---|---|
/// | half | strangers that have been silent for two seconds, the oldest first |
/// | all | the oldest that has been silent for a second, else one at random, which may be the newcomer |
///
/// A known client that finds no place takes a stranger's. Every operation is O(1), unless a place is given up.
struct UnauthenticatedSlots {
    /// Names a place.
    typealias ID = UInt64

    /// How a connection fared.
    enum Outcome: Equatable {
        /// It has the place, and these others have lost theirs.
        case entered(ID, evicted: [ID])
        /// There is none.
        case refused
    }

    private struct Place {
        let address: String?
        let isKnown: Bool
        let since: Instant
        var isSilent = true
    }

    /// How long a silent stranger is left alone while half of the places are taken.
    static let patience = Duration.seconds(2)
    /// The same while all are.
    static let leastPatience = Duration.seconds(1)

    /// One part in so many of the places is for known clients.
    static let knownPart = 4

    private var places: [ID: Place] = [:]
    private var next: ID = 1
    private var ofAddress: [String: Int] = [:]
    private var strangers = 0

    /// Places that are taken.
    var count: Int { places.count }

    /// Places that strangers may have of so many: all but a quarter.
    static func forStrangers(of total: Int) -> Int { max(1, total - total / knownPart) }

    /// Takes a place.
    ///
    /// - Parameters:
    ///   - address: connections of one address share a bound; nil for a connection without one.
    ///   - isKnown: whether the client has shown a ticket.
    ///   - keepsSome: whether a quarter of the places is for known clients.
    ///   - unit: a random number, 0 to 1.
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
        let most = keepsSome ? Self.forStrangers(of: total) : total
        // Fewer places may be configured than are taken: then no connection gives way for a newcomer.
        guard places.count <= total, isKnown || strangers <= most else { return .refused }
        if places.count >= total || !isKnown && strangers >= most {
            guard let victim = victim(isKnown: isKnown, unit: unit, now: now) else { return .refused }
            evicted.append(remove(victim))
        } else if !isKnown, strangers >= most / 2, let old = oldestSilent(for: Self.patience, now: now) {
            evicted.append(remove(old))
        }
        let id = next
        next += 1
        places[id] = Place(address: address, isKnown: isKnown, since: now)
        if !isKnown { strangers += 1 }
        if let address { ofAddress[address, default: 0] += 1 }
        return .entered(id, evicted: evicted)
    }

    /// Whether an address has as many places as it may have.
    func isFull(_ address: String?, perAddress: Int) -> Bool {
        address.map { ofAddress[$0, default: 0] >= perAddress } ?? false
    }

    /// A connection has sent something of what is expected of it.
    mutating func speaks(_ id: ID) {
        places[id]?.isSilent = false
    }

    /// Gives a place back; nothing happens if it has been lost.
    mutating func leave(_ id: ID) {
        if places[id] != nil { _ = remove(id) }
    }

    /// The place that is given up when there is none; nil if the newcomer is refused.
    private func victim(isKnown: Bool, unit: Double, now: Instant) -> ID? {
        if let old = oldestSilent(for: Self.leastPatience, now: now) { return old }
        let candidates = places.filter { !$0.value.isKnown }.keys.sorted()
        // A known client goes before every stranger; a stranger may draw itself.
        let index = Int(unit * Double(candidates.count + (isKnown ? 0 : 1)))
        return index < candidates.count ? candidates[index] : candidates.isEmpty || !isKnown ? nil : candidates.last
    }

    private func oldestSilent(for time: Duration, now: Instant) -> ID? {
        let old = places.filter { !$0.value.isKnown && $0.value.isSilent && now.since($0.value.since) >= time }
        return old.min { ($0.value.since, $0.key) < ($1.value.since, $1.key) }?.key
    }

    private mutating func remove(_ id: ID) -> ID {
        guard let place = places.removeValue(forKey: id) else { return id }
        if !place.isKnown { strangers -= 1 }
        if let address = place.address {
            let left = ofAddress[address, default: 1] - 1
            ofAddress[address] = left > 0 ? left : nil
        }
        return id
    }
}
