import Foundation
import ProxyConnect
import TOMLKit
import Tunnel

/// Values with a meaning of their own: rates, times, dates, blocks of addresses.
extension ConfigurationFile {
    /// A rate such as `"10 MB/s"`, `"500 kB/s"` or a number of bytes; in bytes a second.
    func bytesPerSecond(_ key: String) throws(Failure) -> Int? {
        guard let value = table[key] else { return nil }
        let text = value.int.map(String.init) ?? value.string ?? ""
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let unit = text[digits.endIndex...].drop { $0 == " " }
        let factors = ["": 1, "B/s": 1, "kB/s": 1_000, "MB/s": 1_000_000, "GB/s": 1_000_000_000]
        guard let number = Int(digits), number > 0, let factor = factors[String(unit)] else {
            throw failure(key, "expected bytes a second, for instance \"10 MB/s\"")
        }
        let (rate, overflow) = number.multipliedReportingOverflow(by: factor)
        guard !overflow else { throw failure(key, "too much") }
        return rate
    }

    /// A date or a moment in UTC, `2027-01-31` or `2027-01-31T12:00:00Z`, as seconds since 1970. A date means its first
    /// moment.
    func date(_ key: String) throws(Failure) -> Int64? {
        guard let value = table[key] else { return nil }
        let text = value.string ?? ""
        let moment = text.utf8.count == 10 ? text + "T00:00:00Z" : text
        guard let date = try? Date(moment, strategy: .iso8601) else {
            throw failure(key, "expected a date in quotes, \"2027-01-31\" or \"2027-01-31T12:00:00Z\"")
        }
        return Int64(date.timeIntervalSince1970)
    }

    /// A time such as `"90 s"`, `"5 min"`, `"1 h"` or a number of seconds.
    func seconds(_ key: String) throws(Failure) -> Int? {
        guard let value = table[key] else { return nil }
        let text = value.int.map(String.init) ?? value.string ?? ""
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let unit = text[digits.endIndex...].drop { $0 == " " }
        let factors = ["": 1, "s": 1, "min": 60, "m": 60, "h": 3_600, "d": 86_400]
        guard let number = Int(digits), (1...1_000_000).contains(number), let factor = factors[String(unit)] else {
            throw failure(key, "expected a time, for instance \"90 s\" or \"5 min\"")
        }
        return number * factor
    }

    /// Blocks of addresses: one, or a list.
    func blocks(_ key: String) throws(Failure) -> [CIDRBlock] {
        guard let texts = try strings(key) else { return [] }
        guard let blocks = VisitorLimits.blocks(texts.joined(separator: ",")) else {
            throw failure(key, "expected blocks of addresses, for instance \"10.0.0.0/8\"")
        }
        return blocks
    }
}
