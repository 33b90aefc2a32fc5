/// Counts events of the last ten seconds in ten buckets: the one shape that all limits by rate have.
///
/// An event counts for nine to ten seconds. The memory is fixed, however many events come.
package struct SlidingWindow: Sendable {
    private static let bucketNanoseconds: UInt64 = 1_000_000_000
    private var buckets = [Int](repeating: 0, count: 10)
    private var newest: UInt64 = 0
    private var total = 0

    /// Events of the last ten seconds, at most `limit` of them.
    package let limit: Int

    /// A window in which nothing has happened yet.
    package init(limit: Int) {
        self.limit = limit
    }

    /// Counts one event; false from the first one past the limit on.
    package mutating func record(now: Instant) -> Bool {
        let bucket = now.nanoseconds / Self.bucketNanoseconds
        if bucket > newest {
            for passed in 0..<min(bucket - newest, 10) {
                let index = Int((newest + 1 + passed) % 10)
                total -= buckets[index]
                buckets[index] = 0
            }
            newest = bucket
        }
        buckets[Int(newest % 10)] += 1
        total += 1
        return total <= limit
    }
}
