import NetworkAddress
import ProxyConnect
import TOMLKit
import Tunnel

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Values with units or a syntax: rates, times, dates, blocks of addresses.
extension ConfigurationFile {
    /// A rate such as `"10 MB/s"`, `"500 kB/s"` or a number; in bytes a second.
    func bytesPerSecond(_ key: String) -> Int? {
        guard has(key) else { return nil }
        guard let rate = quantity(key, .rate), rate > 0 else {
            return wrong(key, advised("expected bytes a second, for instance \"10 MB/s\"", key, .rate))
        }
        return rate
    }

    /// A date or a time in UTC, `2027-01-31` or `2027-01-31T12:00:00Z`, as seconds since 1970. A date means its first
    /// second.
    func date(_ key: String) -> Int64? {
        guard let value = table[key] else { return nil }
        let text = value.string ?? ""
        let moment = text.utf8.count == 10 ? text + "T00:00:00Z" : text
        guard let date = try? Date(moment, strategy: .iso8601) else {
            return wrong(key, "expected a date in quotes, \"2027-01-31\" or \"2027-01-31T12:00:00Z\"")
        }
        return Int64(date.timeIntervalSince1970)
    }

    /// A time such as `"90 s"`, `"5 min"`, `"1 h"` or a number of seconds; at most 1,000,000 of its unit.
    func seconds(_ key: String) -> Int? {
        guard has(key) else { return nil }
        guard let milliseconds = quantity(key, .time), milliseconds >= 1_000, milliseconds % 1_000 == 0,
            milliseconds <= 86_400_000_000_000
        else {
            return wrong(key, advised("expected a time, for instance \"90 s\" or \"5 min\"", key, .time))
        }
        return milliseconds / 1_000
    }

    /// A number of bytes such as `"64 MiB"`, `"64 MB"` or 65536; nil if it is malformed.
    func bytes(_ key: String) -> Int? { quantity(key, .bytes) }

    /// A time such as `"500 ms"`, `"10 s"`, `"5 min"` or a number of seconds; nil if it is malformed.
    func duration(_ key: String) -> Duration? { text(key).flatMap(Duration.init(words:)) }

    /// The problem, with the spelling of the unit that was probably meant.
    func advised(_ problem: String, _ key: String, _ kind: Quantity) -> String {
        text(key).flatMap(kind.advice).map { "\(problem); \($0)" } ?? problem
    }

    private func quantity(_ key: String, _ kind: Quantity) -> Int? { text(key).flatMap(kind.value) }

    /// A number or a string, as text; empty for another type, and nil if the key is missing.
    func text(_ key: String) -> String? {
        table[key].map { value in value.int.map(String.init) ?? value.string ?? "" }
    }

    /// Blocks of addresses: one, or a list.
    func blocks(_ key: String) -> [CIDRBlock] {
        guard let texts = strings(key) else { return [] }
        var all: [CIDRBlock] = []
        for (number, text) in texts.enumerated() {
            guard let blocks = VisitorLimits.blocks(text) else {
                let element = table[key]?.array == nil ? nil : number
                report(key, element: element, "expected blocks of addresses, for instance \"10.0.0.0/8\"")
                continue
            }
            all += blocks
        }
        return all
    }

    /// A whole number above 0.
    func count(_ key: String) -> Int? {
        guard let number = integer(key) else { return nil }
        guard number > 0 else { return wrong(key, "expected a number above 0") }
        return number
    }
}
