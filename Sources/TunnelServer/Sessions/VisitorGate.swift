import Mux
import NetworkAddress
import TunnelCore

/// The door of one tunnel: who may come in, and how many at a time.
struct VisitorGate {
    var limits: VisitorLimits
    private(set) var visitors = 0
    /// Addresses of which it is known how often they came. Beyond that the ones that have not come lately are
    /// forgotten, and where all have, new ones share one count.
    private let rememberedAddresses: Int
    private var rates: [IPAddress: TokenBucket] = [:]
    private var others: TokenBucket?

    init(_ limits: VisitorLimits, rememberedAddresses: Int) {
        self.limits = limits
        self.rememberedAddresses = rememberedAddresses
    }

    /// What the memory of addresses takes, bytes.
    var rememberedCost: Int { rates.capacity * 96 }

    /// Lets a visitor in, who must be told to ``left()`` when it goes, or says why not.
    mutating func admit(_ visitor: IPAddress?, now: Instant) -> VisitorRefusal? {
        if !limits.allow.isEmpty || !limits.deny.isEmpty {
            guard let visitor = visitor?.unmapped, !limits.deny.contains(where: { $0.contains(visitor) }),
                limits.allow.isEmpty || limits.allow.contains(where: { $0.contains(visitor) })
            else { return .denied }
        }
        if let most = limits.connections, visitors >= most { return .tooMany }
        if let rate = limits.connectionsPerSecond, let visitor, !isWithin(rate, visitor.unmapped.subscriber, now) {
            return .tooFast
        }
        visitors += 1
        return nil
    }

    /// A visitor has gone.
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
