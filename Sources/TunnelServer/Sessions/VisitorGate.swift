import Mux
import NetworkAddress
import TunnelCore

/// Decides by address, number and rate which visitors one tunnel admits.
struct VisitorGate {
    var limits: VisitorLimits
    private(set) var visitors = 0
    /// Addresses whose rate is remembered. Past this number, idle ones are forgotten. If none is idle, new addresses share
    /// one rate.
    private let rememberedAddresses: Int
    private var rates: [IPAddress: TokenBucket] = [:]
    private var others: TokenBucket?

    init(_ limits: VisitorLimits, rememberedAddresses: Int) {
        self.limits = limits
        self.rememberedAddresses = rememberedAddresses
    }

    /// Memory of the remembered addresses, bytes.
    var rememberedCost: Int { rates.capacity * 96 }

    /// Admits a visitor, or returns the reason for its refusal. ``left()`` must follow when an admitted visitor goes.
    mutating func admit(_ visitor: IPAddress?, now: Instant) -> VisitorRefusal? {
        if !limits.allow.isEmpty || !limits.deny.isEmpty {
            guard let visitor = visitor?.unmapped, !limits.deny.contains(where: { $0.contains(visitor) }),
                limits.allow.isEmpty || limits.allow.contains(where: { $0.contains(visitor) })
            else { return .denied }
        }
        if let limit = limits.connections, visitors >= limit { return .tooMany }
        if let rate = limits.connectionsPerSecond, let visitor, !isWithin(rate, visitor.unmapped.subscriber, now) {
            return .tooFast
        }
        visitors += 1
        return nil
    }

    /// Notes that a visitor has gone.
    mutating func left() {
        visitors -= 1
    }

    private mutating func isWithin(_ rate: Int, _ address: IPAddress, _ now: Instant) -> Bool {
        let fresh = TokenBucket(perSecond: Double(rate), burst: Double(rate), now: now)
        if rates[address] == nil, rates.count >= rememberedAddresses {
            rates = rates.filter { entry in
                var bucket = entry.value
                return !bucket.isFull(now: now)
            }
            guard rates.count < rememberedAddresses else {
                var bucket = others ?? fresh
                defer { others = bucket }
                return bucket.takeOne(now: now)
            }
        }
        return rates[address, default: fresh].takeOne(now: now)
    }
}
