import NetworkAddress

/// Slows down the guessing of passwords, and bounds the processor time of all checks together.
///
/// Tries of one address are counted until a minute has passed without any. After the free ones, each wrong try closes
/// the address for 1, 2, 4 and up to 60 seconds. A right password does not count.
public struct PasswordPacing: Sendable {
    /// Wrong tries of one address that have no penalty. 5: a mistyped password has none.
    public var freeTries = 5
    /// The longest time for which an address is closed. A minute: a guesser has some thousand tries in a day.
    public var longestDelay: Duration = .seconds(60)
    /// Addresses that are remembered. 4,096: some hundred KiB.
    public var rememberedAddresses = 4_096
    /// Checks in a second, of all addresses together, and as many at once. 20: at 5 ms each, a tenth of a processor.
    ///
    /// Visitors whose password was right before need no check, so a flood of guesses does not lock them out.
    public var checksPerSecond = 20

    /// The time after which tries are forgotten.
    private static let period: Duration = .seconds(60)

    private struct Entry {
        var count = 0
        var last: Duration
        var closedUntil: Duration

        var isForgottenAt: Duration { max(last, closedUntil) + PasswordPacing.period }
    }

    /// An address, or the block of a subscriber of IPv6; nil for visitors without an address.
    private var entries: [IPAddress?: Entry] = [:]
    /// The time at which all checks so far are paid for.
    private var paid: Duration = .zero

    /// A pacing without tries.
    public init() {}

    /// Addresses that are remembered now.
    var count: Int { entries.count }

    /// Asks for a check, which counts as wrong until ``wasRight(_:at:)``.
    ///
    /// - Parameter now: the time since any fixed instant.
    /// - Returns: nil if the password may be checked; otherwise the seconds to wait.
    mutating func admit(_ address: IPAddress?, at now: Duration) -> Int? {
        let address = address?.subscriber
        var entry = entries[address] ?? Entry(last: now, closedUntil: now)
        if now >= entry.isForgottenAt { entry = Entry(last: now, closedUntil: now) }
        guard now >= entry.closedUntil else { return Self.seconds(entry.closedUntil - now) }
        guard paid <= now + .seconds(1) - cost else { return Self.seconds(paid + cost - now - .seconds(1)) }
        paid = max(paid, now) + cost
        entry.count += 1
        entry.last = now
        if entry.count >= freeTries {
            // 64 s is the first delay past the usual longest one.
            entry.closedUntil = now + min(.seconds(1 << min(entry.count - freeTries, 6)), longestDelay)
        }
        if entries[address] == nil { makeRoom(at: now) }
        entries[address] = entry
        return nil
    }

    /// Takes back the last try of an address, whose password was right.
    mutating func wasRight(_ address: IPAddress?, at now: Duration) {
        let address = address?.subscriber
        guard var entry = entries[address] else { return }
        entry.count -= 1
        entry.closedUntil = min(entry.closedUntil, now)
        entries[address] = entry.count > 0 ? entry : nil
    }

    private var cost: Duration { .seconds(1) / max(checksPerSecond, 1) }

    /// Forgets old tries, and the oldest ones if there is no room otherwise. Checks are rare, so the search is cheap.
    private mutating func makeRoom(at now: Duration) {
        guard entries.count >= rememberedAddresses else { return }
        entries = entries.filter { now < $0.value.isForgottenAt }
        guard entries.count >= rememberedAddresses,
            let oldest = entries.min(by: { $0.value.isForgottenAt < $1.value.isForgottenAt })
        else { return }
        entries[oldest.key] = nil
    }

    /// Whole seconds, at least one.
    private static func seconds(_ time: Duration) -> Int {
        let (seconds, rest) = time.components
        return max(1, Int(clamping: seconds) + (rest > 0 ? 1 : 0))
    }
}
