import Mux

/// Tells a failure that stays the same once, and then how often it has come again: after two, four, eight times and so
/// on, so that a night without a network is some lines and not some thousand.
struct RepeatedFailure {
    private var text: String?
    private var count = 0

    /// What the log says of a failure now; nil if it has been told and nothing is due.
    mutating func line(_ failure: String) -> (text: String, times: Int)? {
        guard failure == text else {
            (text, count) = (failure, 1)
            return (failure, 1)
        }
        count += 1
        // Powers of two have one bit.
        return count & (count - 1) == 0 ? (failure, count) : nil
    }

    /// Forgets it once something has worked.
    mutating func worked() {
        (text, count) = (nil, 0)
    }
}
