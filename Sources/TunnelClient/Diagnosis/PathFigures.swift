import TunnelCore

/// What measurements say of a path. Pure.
enum PathFigures {
    /// The share of a sorted list below which a value lies: 0.5 for the median.
    static func quantile(_ values: [Duration], _ share: Double) -> Duration? {
        guard !values.isEmpty else { return nil }
        let sorted = values.sorted()
        let index = Int((Double(sorted.count - 1) * share).rounded())
        return sorted[index]
    }

    /// Bytes a second, without the first quarter of the time, in which a connection finds its speed.
    ///
    /// - Returns: nil if too little has arrived.
    static func rate(_ samples: [RateSample]) -> Double? {
        guard let last = samples.last, last.time > .zero else { return nil }
        let early = samples.last { $0.time <= last.time / 4 } ?? RateSample(bytes: 0, time: .zero)
        let (bytes, time) = (last.bytes - early.bytes, last.time - early.time)
        return time > .zero && bytes > 0 ? Double(bytes) / (time / .seconds(1)) : nil
    }

    /// The number of replies that arrive together, if a box on the way gathers messages that are sent one by one.
    ///
    /// - Parameters:
    ///   - gaps: the times between replies.
    ///   - interval: the time between the messages.
    /// - Returns: nil if the replies arrive one by one.
    static func clump(_ gaps: [Duration], sentEvery interval: Duration) -> Double? {
        guard gaps.count >= 8 else { return nil }
        let together = gaps.count { $0 < interval / 5 }
        guard together * 2 > gaps.count else { return nil }
        return Double(gaps.count) / Double(gaps.count - together + 1)
    }
}

extension Duration {
    /// For people: `0.4 ms`, `12 ms`, `1.5 s`, `10 min`.
    var shown: String {
        let milliseconds = self / .milliseconds(1)
        switch milliseconds {
        case ..<10: return "\((milliseconds * 10).rounded() / 10) ms"
        case ..<1_000: return "\(Int(milliseconds.rounded())) ms"
        case ..<60_000: return inShort
        default:
            let seconds = Int((milliseconds / 1_000).rounded())
            return seconds % 60 == 0 ? "\(seconds / 60) min" : "\(seconds / 60) min \(seconds % 60) s"
        }
    }

    /// For figures.
    var milliseconds: Double { (self / .microseconds(1)).rounded() / 1_000 }
}

/// A rate for people: `88 Mbit/s`, of bytes a second.
func shownRate(_ bytesPerSecond: Double) -> String {
    let bits = bytesPerSecond * 8
    switch bits {
    case ..<1e6: return "\(Int((bits / 1e3).rounded())) kbit/s"
    case ..<1e7: return "\((bits / 1e5).rounded() / 10) Mbit/s"
    case ..<1e9: return "\(Int((bits / 1e6).rounded())) Mbit/s"
    default: return "\((bits / 1e8).rounded() / 10) Gbit/s"
    }
}
