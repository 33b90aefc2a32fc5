/// Counts the events of the last ten seconds in ten buckets. All rate limits use this type.
///
/// An event counts for nine to ten seconds. Memory is constant.
package struct SlidingWindow: Sendable {
    private static let bucketNanoseconds: UInt64 = 1_000_000_000
    private var buckets = [Int](repeating: 0, count: 10)
    private var newest: UInt64 = 0
    private var total = 0

    /// Events allowed within ten seconds.
    package let limit: Int

    /// Creates a window without events.
    package init(limit: Int) {
        self.limit = limit
    }

    /// Counts one event.
    ///
    /// - Returns: false if the limit is exceeded.
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
