/// Limits the rate of one direction of a connection, with a small burst.
struct TokenBucket {
    /// The bytes that may pass at once after a pause, in seconds of the rate.
    private static let burst = 0.01

    private let bytesPerSecond: Double
    /// The time at which the bucket is full again.
    private var full = 0.0

    init(megabitsPerSecond: Double) { bytesPerSecond = megabitsPerSecond * 1e6 / 8 }

    /// Takes the tokens of some bytes.
    ///
    /// - Returns: the time at which they may pass.
    mutating func pass(bytes: Int, at now: Double) -> Double {
        full = max(full, now) + Double(bytes) / bytesPerSecond
        return max(now, full - Self.burst)
    }
}
