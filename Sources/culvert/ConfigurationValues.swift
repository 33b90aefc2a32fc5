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

    /// A number of bytes such as `"64 MiB"`, `"64 MB"` or 65536; nil where it is none.
    func bytes(_ key: String) -> Int? {
        quantity(key, ["": 1, "B": 1, "kB": 1_000, "MB": 1_000_000, "GB": 1_000_000_000].merging(Self.binary) { $1 })
    }

    private static let binary = ["KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30]

    /// A time such as `"500 ms"`, `"10 s"`, `"5 min"` or a number of seconds; nil where it is none.
    func duration(_ key: String) -> Duration? { text(key).flatMap(Duration.init(words:)) }

    private func quantity(_ key: String, _ units: [String: Int]) -> Int? {
        text(key).flatMap { Int(quantity: $0, units) }
    }

    /// A number or a string, as text; nil where the key is not there.
    private func text(_ key: String) -> String? {
        table[key].map { value in value.int.map(String.init) ?? value.string ?? "" }
    }
}

extension Duration {
    /// Reads `500 ms`, `10 s`, `5 min`, `55m`, `1h`, or a number of seconds.
    init?(words text: String) {
        let units = ["": 1_000, "ms": 1, "s": 1_000, "min": 60_000, "m": 60_000, "h": 3_600_000]
        guard let milliseconds = Int(quantity: text, units) else { return nil }
        self = .milliseconds(milliseconds)
    }
}

extension Int {
    /// A whole number, a space if any, and a unit.
    fileprivate init?(quantity text: String, _ units: [String: Int]) {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let unit = text[digits.endIndex...].drop { $0 == " " }
        guard let number = Int(digits), let factor = units[String(unit)] else { return nil }
        let (product, overflow) = number.multipliedReportingOverflow(by: factor)
        guard !overflow else { return nil }
        self = product
    }
}

extension ConfigurationFile {
    /// Blocks of addresses: one, or a list.
    func blocks(_ key: String) throws(Failure) -> [CIDRBlock] {
        guard let texts = try strings(key) else { return [] }
        guard let blocks = VisitorLimits.blocks(texts.joined(separator: ",")) else {
            throw failure(key, "expected blocks of addresses, for instance \"10.0.0.0/8\"")
        }
        return blocks
    }
}

extension Int {
    /// As a number of bytes is written in a configuration: `64 MiB`.
    var asBytes: String {
        for (unit, name) in [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")]
        where self >= unit && self % unit == 0 {
            return "\(self / unit) \(name)"
        }
        return "\(self) B"
    }
}

extension Duration {
    /// As a time is written in a configuration: `10 s`.
    var asTime: String {
        let (seconds, attoseconds) = components
        guard attoseconds == 0 else { return "\(seconds * 1_000 + attoseconds / 1_000_000_000_000_000) ms" }
        for (unit, name) in [(3_600, "h"), (60, "min")] where seconds >= unit && seconds % Int64(unit) == 0 {
            return "\(seconds / Int64(unit)) \(name)"
        }
        return "\(seconds) s"
    }
}
