/// Pauses that are not one name's: the CA has trouble, or limits this server as a whole.
///
/// A CA's rate limit is usually one domain's, and pauses the name alone. If a second domain meets one meanwhile, the limit
/// is the account's, and all orders pause.
struct AuthorityPause: Sendable {
    private var until: Int64 = 0
    private var limited: [String: Int64] = [:]
    private var failures = 0

    /// The end of the pause; `now` if there is none. A pause further away than any is from before the clock was set.
    func end(now: Int64) -> Int64 { until > now && until <= now + ACMELimits.longestDelay ? until : now }

    /// The CA has limited a name until some time.
    mutating func limited(_ name: CertificateName, until end: Int64, now: Int64) {
        limited = limited.filter { $0.value > now && $0.value <= now + ACMELimits.longestDelay }
        limited[name.domain] = end
        guard limited.count > 1 else { return }
        pause(until: min(end, now + ACMELimits.commonPause))
        limited = [:]
    }

    /// The CA was not reached, or has trouble of its own: waits a minute, and twice as long after each further failure.
    mutating func failed(retryAfter: Int?, now: Int64) {
        failures += 1
        let usual = Backoff.delay(after: failures, first: ACMELimits.firstDelay, most: ACMELimits.commonPause)
        pause(until: now + min(max(usual, Int64(retryAfter ?? 0)), ACMELimits.longestDelay))
    }

    /// The CA works.
    mutating func succeeded() { failures = 0 }

    private mutating func pause(until end: Int64) { until = end }
}

/// Delays that double.
enum Backoff {
    /// Seconds after a number of failures in a row.
    static func delay(after failures: Int, first: Int64, most: Int64) -> Int64 {
        // Far more doublings than there are seconds in a day.
        min(first << Int64(min(max(failures - 1, 0), 32)), most)
    }
}
