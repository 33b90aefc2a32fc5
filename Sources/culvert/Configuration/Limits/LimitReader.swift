import TOMLKit
import Tunnel

/// Reads the table `[limits]` of a configuration by the rows of ``LimitTable``. Mistakes are reported and not thrown.
enum LimitReader {
    /// A server's.
    static func apply(_ file: ConfigurationFile, to server: inout ServerConfiguration) {
        read(file, \.server, into: &server)
    }

    /// A client's.
    static func apply(_ file: ConfigurationFile, to client: inout ClientConfiguration) {
        read(file, \.client, into: &client)
    }

    private static func read<Role>(
        _ file: ConfigurationFile,
        _ bound: KeyPath<LimitKey, LimitBound<Role>?>,
        into role: inout Role
    ) {
        guard let table = file.table("limits") else { return }
        var bounds: [String: LimitBound<Role>] = [:]
        var mistaken: Set<String> = []
        for limit in LimitTable.rows {
            guard let key = limit.key, let bound = key[keyPath: bound] else { continue }
            bounds[key.name] = bound
            guard table.has(key.name) else { continue }
            if let value = value(of: key.name, in: table, like: bound.range.lowerBound), bound.range.contains(value) {
                bound.write(&role, value)
            } else {
                mistaken.insert(key.name)
                report(key, limit.reason, in: table)
            }
        }
        for relation in LimitRelation.all where mistaken.isDisjoint(with: relation.keys) {
            guard let low = bounds[relation.lesser], let high = bounds[relation.greater],
                let problem = relation.problem(low.read(role), high.read(role))
            else { continue }
            let keys = relation.keys
            table.report(keys.first(where: table.has) ?? keys[0], problem)
        }
        table.allow(Set(bounds.keys))
    }

    /// A key's value; nil if it does not have the unit.
    private static func value(of key: String, in table: ConfigurationFile, like other: LimitValue) -> LimitValue? {
        switch other {
        case .count: table.table[key]?.int.map(LimitValue.count)
        case .bytes: table.bytes(key).map(LimitValue.bytes)
        case .time: table.duration(key).map { .time($0) }
        case .part: nil
        }
    }

    private static func report(_ key: LimitKey, _ reason: String, in table: ConfigurationFile) {
        let (lowest, highest) = (key.range.lowerBound, key.range.upperBound)
        let problem = "expected \(lowest.inConfiguration) to \(highest.inConfiguration): \(reason)"
        table.report(key.name, lowest.quantity.map { table.advised(problem, key.name, $0) } ?? problem)
    }
}

extension LimitValue {
    /// The form in an error.
    var userDescription: String {
        switch self {
        case .count(let number): "\(number)"
        case .bytes(let number): number.asBytes
        case .time(let duration): duration.asTime
        case .part(let number): "1/\(number)"
        }
    }

    /// The form in a configuration.
    var inConfiguration: String { quantity == nil ? userDescription : "\"\(userDescription)\"" }

    /// The unit of the written form; nil for a plain number.
    fileprivate var quantity: Quantity? {
        switch self {
        case .bytes: .bytes
        case .time: .time
        case .count, .part: nil
        }
    }
}
