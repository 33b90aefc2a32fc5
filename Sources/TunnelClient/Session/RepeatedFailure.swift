/// Decides when a failure that stays the same is logged: at first, and then after two, four, eight times and so on. A
/// night without a network then costs some lines and not some thousand.
struct RepeatedFailure {
    private var text: String?
    private var count = 0

    /// The line that the log gets now, with the number of times; nil if none is due.
    mutating func line(_ failure: String) -> (text: String, times: Int)? {
        guard failure == text else {
            (text, count) = (failure, 1)
            return (failure, 1)
        }
        count += 1
        // Powers of two have one bit.
        return count & (count - 1) == 0 ? (failure, count) : nil
    }

    /// Forgets the failure once a dial has worked.
    mutating func worked() {
        (text, count) = (nil, 0)
    }
}
