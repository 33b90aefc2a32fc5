import CMalloc

/// Gives memory back to the system once much less is in use than there was, and has been for a while.
///
/// The C library keeps what a burst has freed for the next one, between blocks that are still in use. With thousands of
/// idle streams that is nearly as much as the streams themselves. The trimmer looks once a second, apart from the event
/// loops, which wait for the heap while it is trimmed.
enum HeapTrimmer {
    /// Time between two looks.
    static let period = Duration.seconds(1)

    /// Looks until its task is cancelled.
    ///
    /// - Parameter bytesInUse: what sessions hold now.
    static func run(_ bytesInUse: @Sendable () -> Int) async {
        var policy = HeapTrimPolicy()
        while (try? await Task.sleep(for: period)) != nil {
            guard policy.trims(bytesInUse()) else { continue }
            policy.trimmed(in: ContinuousClock().measure { culvert_trim_malloc() })
        }
    }
}

/// Decides at each look whether the heap is to be trimmed. Pure.
struct HeapTrimPolicy {
    /// How far the bytes in use must fall. 1 MiB: one bulk transfer takes and frees as much all the time.
    static let fall = 1_048_576
    /// One part in so many of the time may be spent on trimming.
    static let timeShare = 50

    /// Most bytes in use since the last trim.
    private var peak = 0
    /// Whether they had fallen at the last look.
    private var hadFallen = false
    /// Looks to skip, so that trimming keeps to its share of the time.
    private var skipped = 0

    /// A look; true if the bytes in use have been low at this one and at the one before.
    mutating func trims(_ bytesInUse: Int) -> Bool {
        peak = max(peak, bytesInUse)
        skipped = max(0, skipped - 1)
        let hasFallen = bytesInUse <= peak - Self.fall
        defer { hadFallen = hasFallen }
        guard hasFallen, hadFallen, skipped == 0 else { return false }
        peak = bytesInUse
        return true
    }

    /// The heap was trimmed, which took so long.
    mutating func trimmed(in time: Duration) {
        skipped = Int(time * Self.timeShare / HeapTrimmer.period)
        hadFallen = false
    }
}
