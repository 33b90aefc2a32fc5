/// Bounds the orders of an hour, over all names and for the names of one client.
///
/// Each client has a quarter at most, so that one with many names does not keep the others out.
struct OrderBudget: Sendable {
    private var orders: [(time: Int64, owner: String?)] = []

    /// The first second in which an order of an owner may begin: `now`, or later.
    ///
    /// - Parameter owner: the client that has claimed the name; nil for a configured name, which has no share.
    mutating func next(for owner: String?, now: Int64) -> Int64 {
        forget(now)
        let all = Self.next(orders.map(\.time), ACMELimits.ordersPerHour, now)
        guard owner != nil else { return all }
        let own = orders.filter { $0.owner == owner }.map(\.time)
        return max(all, Self.next(own, ACMELimits.ordersPerOwner, now))
    }

    /// An order begins.
    mutating func count(_ owner: String?, now: Int64) {
        forget(now)
        orders.append((now, owner))
    }

    /// The CA has not seen the last order of an owner.
    mutating func refund(_ owner: String?) {
        if let index = orders.lastIndex(where: { $0.owner == owner }) { orders.remove(at: index) }
    }

    /// Times in the future are from before the clock was set.
    private mutating func forget(_ now: Int64) {
        orders.removeAll { $0.time > now || $0.time <= now - ACMELimits.orderPeriod }
    }

    private static func next(_ times: [Int64], _ limit: Int, _ now: Int64) -> Int64 {
        guard times.count >= limit else { return now }
        return max(now, times[times.count - limit] + ACMELimits.orderPeriod)
    }
}
