/// Formats numbers for people: at most three digits, and a unit.
enum CompactNumber {
    /// Bytes in decimal units, as `bandwidth` has them: `999 B`, `1.2 kB`, `34 MB`.
    static func bytes(_ count: Int) -> String {
        var value = Double(count)
        var unit = "B"
        for next in ["kB", "MB", "GB", "TB", "PB"] {
            // A value that would be rounded to 1000 gets the next unit.
            guard value.magnitude >= (unit == "B" ? 1_000 : 999.5) else { break }
            value /= 1_000
            unit = next
        }
        let tenths = (value * 10).rounded() / 10
        guard unit != "B", tenths < 10 else { return "\(Int(value.rounded())) \(unit)" }
        return "\(tenths) \(unit)"
    }

    /// Bytes a second.
    static func rate(_ bytesPerSecond: Double?) -> String {
        guard let bytesPerSecond else { return "-" }
        return bytes(Int(bytesPerSecond.rounded())) + "/s"
    }

    /// A time in its two largest units: `12 s`, `3 min 5 s`, `2 h 0 min`, `4 d 7 h`.
    static func time(_ seconds: Double) -> String {
        let seconds = Int(max(0, seconds))
        switch seconds {
        case ..<60: return "\(seconds) s"
        case ..<3_600: return "\(seconds / 60) min \(seconds % 60) s"
        case ..<86_400: return "\(seconds / 3_600) h \(seconds % 3_600 / 60) min"
        default: return "\(seconds / 86_400) d \(seconds % 86_400 / 3_600) h"
        }
    }

    /// Milliseconds: `0.2 ms`, `34 ms`.
    static func milliseconds(_ value: Double?) -> String {
        guard let value else { return "-" }
        return value < 10 ? "\((value * 10).rounded() / 10) ms" : "\(Int(value.rounded())) ms"
    }

    /// A number and its noun, in the plural with an s.
    static func count(_ number: Int, _ noun: String) -> String {
        "\(number) \(noun)\(number == 1 ? "" : "s")"
    }
}
