import ByteText

/// The field Retry-After: seconds, or a time (RFC 9110, section 10.2.3).
enum RetryAfter {
    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    /// Reads the field.
    ///
    /// - Parameter now: seconds since 1970.
    /// - Returns: seconds from now, never negative; nil for anything else.
    static func seconds(_ value: String, now: Int64) -> Int? {
        if let seconds = DecimalText.value(Array(value.utf8), through: 999_999_999) { return seconds }
        return date(value).map { Int(max(0, min($0 - now, 999_999_999))) }
    }

    /// Seconds since 1970 of `Sun, 06 Nov 1994 08:49:37 GMT`, the one form that may be sent.
    private static func date(_ text: String) -> Int64? {
        let words = text.split(separator: " ", omittingEmptySubsequences: false)
        guard words.count == 6, words[5] == "GMT", let month = months.firstIndex(of: String(words[2])) else {
            return nil
        }
        let clock = words[4].split(separator: ":", omittingEmptySubsequences: false)
        guard clock.count == 3 else { return nil }
        let parts = ([words[3], words[1]] + clock).compactMap { CivilTime.number(Array($0.utf8)[...]) }
        guard parts.count == 5 else { return nil }
        return CivilTime.seconds(parts[0], month + 1, parts[1], parts[2], parts[3], parts[4])
    }
}
