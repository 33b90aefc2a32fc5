/// Reads numbers with a unit, as a configuration has them: `64 MiB`, `10 s`, `10 MB/s`.
enum Quantity {
    case bytes
    case time
    case rate

    /// The factor of each unit: to bytes, to milliseconds, to bytes a second.
    private var factors: [String: Int] {
        switch self {
        case .bytes:
            [
                "": 1, "B": 1, "kB": 1_000, "MB": 1_000_000, "GB": 1_000_000_000, "KiB": 1 << 10, "MiB": 1 << 20,
                "GiB": 1 << 30,
            ]
        case .time:
            ["": 1_000, "ms": 1, "s": 1_000, "min": 60_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000]
        case .rate:
            ["": 1, "B/s": 1, "kB/s": 1_000, "MB/s": 1_000_000, "GB/s": 1_000_000_000]
        }
    }

    /// Reads a whole number, an optional space, and a unit; nil if the text is malformed or too large.
    func value(of text: String) -> Int? {
        let (number, unit) = Self.parts(text)
        guard let number = Int(number), let factor = factors[unit] else { return nil }
        let (product, overflow) = number.multipliedReportingOverflow(by: factor)
        return overflow ? nil : product
    }

    /// `write "2 GiB"`, for a number whose unit has another spelling; nil if the unit is unknown.
    func advice(on text: String) -> String? {
        let (number, unit) = Self.parts(text)
        guard !number.isEmpty, number.count <= 12, factors[unit] == nil, let meant = meant(unit.lowercased()) else {
            return nil
        }
        return "write \"\(number) \(meant)\""
    }

    private func meant(_ unit: String) -> String? {
        switch self {
        case .bytes:
            switch unit {
            case "b", "byte", "bytes": "B"
            case "k", "kb", "ki", "kib": "KiB"
            case "m", "mb", "mi", "mib": "MiB"
            case "g", "gb", "gi", "gib": "GiB"
            default: nil
            }
        case .time:
            switch unit {
            case "ms", "msec", "millis", "millisecond", "milliseconds": "ms"
            case "s", "sec", "secs", "second", "seconds": "s"
            case "m", "min", "mins", "minute", "minutes": "min"
            case "h", "hr", "hrs", "hour", "hours": "h"
            case "d", "day", "days": "d"
            default: nil
            }
        case .rate:
            switch unit.hasSuffix("ps") ? unit.dropLast(2) : unit.hasSuffix("/s") ? unit.dropLast(2) : unit[...] {
            case "b" where !unit.hasPrefix("bps"): "B/s"
            case "k", "kb", "kib": unit.contains("bps") ? nil : "kB/s"
            case "m", "mb", "mib": unit.contains("bps") ? nil : "MB/s"
            case "g", "gb", "gib": unit.contains("bps") ? nil : "GB/s"
            default: nil
            }
        }
    }

    private static func parts(_ text: String) -> (number: String, unit: String) {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        return (String(digits), String(text[digits.endIndex...].drop { $0 == " " }))
    }
}

extension Duration {
    /// Reads `500 ms`, `10 s`, `5 min`, `55m`, `1h`, `2 d`, or a number of seconds.
    init?(words text: String) {
        guard let milliseconds = Quantity.time.value(of: text) else { return nil }
        self = .milliseconds(milliseconds)
    }

    /// The form in a configuration: `10 s`.
    var asTime: String {
        let (seconds, attoseconds) = components
        let microseconds = attoseconds / 1_000_000_000_000
        guard microseconds % 1_000 == 0 else { return "\(seconds * 1_000_000 + microseconds) µs" }
        guard microseconds == 0 else { return "\(seconds * 1_000 + microseconds / 1_000) ms" }
        let whole = Int(clamping: seconds)
        return whole.multiple(of: 3_600, "h") ?? whole.multiple(of: 60, "min") ?? "\(seconds) s"
    }
}

extension Int {
    /// The form of a number of bytes in a configuration: `64 MiB`.
    var asBytes: String {
        multiple(of: 1 << 30, "GiB") ?? multiple(of: 1 << 20, "MiB") ?? multiple(of: 1 << 10, "KiB") ?? "\(self) B"
    }

    fileprivate func multiple(of unit: Int, _ name: String) -> String? {
        self >= unit && self % unit == 0 ? "\(self / unit) \(name)" : nil
    }
}
