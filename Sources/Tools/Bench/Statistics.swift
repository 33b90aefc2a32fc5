/// Medians and percentiles.
enum Statistics {
    /// The median; nil without values.
    static func median(_ values: [Double]) -> Double? {
        let sorted = values.sorted()
        guard let last = sorted.indices.last else { return nil }
        return (sorted[last / 2] + sorted[(last + 1) / 2]) / 2
    }

    /// The smallest value that is not below this share of all values; nil without values.
    static func percentile<Value>(_ share: Double, ofSorted values: [Value]) -> Value? {
        guard !values.isEmpty else { return nil }
        let rank = Int((share * Double(values.count)).rounded(.up))
        return values[min(max(rank, 1), values.count) - 1]
    }
}
