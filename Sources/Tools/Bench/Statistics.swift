/// The arithmetic of the tables.
enum Statistics {
    /// The middle one, or the mean of the two in the middle; nil of nothing.
    static func median(_ values: [Double]) -> Double? {
        let sorted = values.sorted()
        guard let last = sorted.indices.last else { return nil }
        return (sorted[last / 2] + sorted[(last + 1) / 2]) / 2
    }

    /// The smallest value that at least this share of all is not above; nil of nothing.
    static func percentile(_ share: Double, ofSorted values: [UInt32]) -> UInt32? {
        guard !values.isEmpty else { return nil }
        let rank = Int((share * Double(values.count)).rounded(.up))
        return values[min(max(rank, 1), values.count) - 1]
    }
}
