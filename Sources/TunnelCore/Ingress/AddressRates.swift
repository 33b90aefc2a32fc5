import Mux
import NetworkAddress

/// The rates at which addresses arrive, each by itself; a /64 of IPv6 counts as one address.
///
/// Past the number of remembered addresses, idle ones are forgotten. If none is idle, new addresses share one rate.
package struct AddressRates {
    private let remembered: Int
    private var rates: [IPAddress: TokenBucket] = [:]
    private var others: TokenBucket?
    private var lastSearch: Instant?

    package init(remembered: Int) {
        self.remembered = remembered
    }

    /// Memory of the remembered addresses, bytes.
    package var cost: Int { rates.capacity * 96 }

    /// Whether one more from an address is within `perSecond`. As many may arrive at once.
    package mutating func admits(_ address: IPAddress, perSecond: Int, now: Instant) -> Bool {
        let address = address.unmapped.subscriber
        let fresh = TokenBucket(perSecond: Double(perSecond), burst: Double(perSecond), now: now)
        if rates[address] == nil, rates.count >= remembered {
            forgetIdle(now)
            guard rates.count < remembered else {
                var bucket = others ?? fresh
                defer { others = bucket }
                return bucket.takeOne(now: now)
            }
        }
        return rates[address, default: fresh].takeOne(now: now)
    }
    /// Forgets idle addresses, at most ten times a second: each search looks at all of them.
    private mutating func forgetIdle(_ now: Instant) {
        if let lastSearch, now.since(lastSearch) < .milliseconds(100) { return }
        lastSearch = now
        rates = rates.filter { entry in
            var bucket = entry.value
            return !bucket.isFull(now: now)
        }
    }
}
