/// The table `[limits]` of a configuration, read key by key: each has a range and a reason for it, which the error beyond
/// the range tells. Mistakes are reported and not thrown; a caller need not know. A range never begins at 0, so that no number can mean "without".
struct LimitsTable {
    private let table: ConfigurationFile?
    private var known: Set<String> = []
    /// Keys with a mistake: a contradiction with them says nothing.
    private var mistaken: Set<String> = []

    init(_ file: ConfigurationFile) {
        table = file.table("limits")
    }

    /// A number.
    mutating func count(_ key: String, _ value: inout Int, _ range: ClosedRange<Int>, _ reason: String) throws(Failure)
    {
        read(key, &value, range, reason, shown: { "\($0)" }) { table in table.table[key]?.int }
    }

    /// A number of bytes, such as `"64 MiB"`.
    mutating func size(_ key: String, _ value: inout Int, _ range: ClosedRange<Int>, _ reason: String) throws(Failure) {
        read(key, &value, range, reason, .bytes, shown: { "\"\($0.asBytes)\"" }) { table in table.bytes(key) }
    }

    /// A time, such as `"10 s"` or `"500 ms"`.
    mutating func time(_ key: String, _ value: inout Duration, _ range: ClosedRange<Duration>, _ reason: String)
        throws(Failure)
    {
        read(key, &value, range, reason, .time, shown: { "\"\($0.asTime)\"" }) { table in table.duration(key) }
    }

    private mutating func read<Value: Comparable>(
        _ key: String,
        _ value: inout Value,
        _ range: ClosedRange<Value>,
        _ reason: String,
        _ kind: Quantity? = nil,
        shown: (Value) -> String,
        _ parse: (ConfigurationFile) -> Value?
    ) {
        known.insert(key)
        guard let table, table.has(key) else { return }
        guard let new = parse(table), range.contains(new) else {
            let problem = "expected \(shown(range.lowerBound)) to \(shown(range.upperBound)): \(reason)"
            mistaken.insert(key)
            return table.report(key, kind.map { table.advised(problem, key, $0) } ?? problem)
        }
        value = new
    }

    /// Refuses a pair of values that contradict one another, at whichever of the keys is there.
    func demand(_ holds: Bool, _ key: String, _ other: String, _ problem: String) throws(Failure) {
        guard !holds, let table, mistaken.isDisjoint(with: [key, other]) else { return }
        table.report(table.has(key) ? key : other, problem)
    }

    /// Refuses whatever has not been asked for.
    func finish() throws(Failure) {
        table?.allow(known)
    }
}
