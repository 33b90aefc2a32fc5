import CMalloc

/// Gives free memory back to the system after a burst, once the bytes in use have stayed low for a while.
///
/// The C library keeps freed memory between blocks that are still in use. With thousands of idle streams that is nearly
/// as much as the streams use. The trimmer checks once a second, outside the event loops. A loop that allocates during
/// a trim waits for it.
enum HeapTrimmer {
    /// Time between two checks.
    static let period = Duration.seconds(1)

    /// Checks until the task is cancelled.
    ///
    /// - Parameter bytesInUse: the memory of sessions now.
    static func run(_ bytesInUse: @Sendable () -> Int) async {
        var policy = HeapTrimPolicy()
        while (try? await Task.sleep(for: period)) != nil {
            guard policy.trims(bytesInUse()) else { continue }
            policy.trimmed(in: ContinuousClock().measure { culvert_trim_malloc() })
        }
    }
}

/// Decides at each check whether to trim the heap. Pure.
struct HeapTrimPolicy {
    /// The fall of the bytes in use that causes a trim. 1 MiB: one bulk transfer takes and frees as much continuously.
    static let fall = 1_048_576
    /// The share of the time that trimming may take: one part in this many.
    static let timeShare = 50

    /// Most bytes in use since the last trim.
    private var peak = 0
    /// Whether they had fallen at the last check.
    private var hadFallen = false
    /// Checks to skip, so that trimming keeps to its share of the time.
    private var skipped = 0

    /// A check. True if the bytes in use were low at this check and the one before.
    mutating func trims(_ bytesInUse: Int) -> Bool {
        peak = max(peak, bytesInUse)
        skipped = max(0, skipped - 1)
        let hasFallen = bytesInUse <= peak - Self.fall
        defer { hadFallen = hasFallen }
        guard hasFallen, hadFallen, skipped == 0 else { return false }
        peak = bytesInUse
        return true
    }

    /// Records the time that a trim took.
    mutating func trimmed(in time: Duration) {
        skipped = Int(time * Self.timeShare / HeapTrimmer.period)
        hadFallen = false
    }
}
