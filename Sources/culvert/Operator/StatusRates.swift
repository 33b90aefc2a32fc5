import Tunnel

/// Computes bytes a second between two statuses of a role.
struct StatusRates {
    /// A tunnel or a visitor, which has rates.
    enum Key: Hashable {
        case total
        case tunnel(session: Int, Int)
        case visitor(session: Int, UInt32)
    }

    /// Bytes a second in each direction.
    struct Rate: Equatable {
        let toService: Double
        let toVisitor: Double
    }

    private let rates: [Key: Rate]

    /// - Parameter seconds: the time between the two statuses.
    init(from old: RoleStatus, to new: RoleStatus, seconds: Double) {
        let before = Self.counts(old)
        var rates: [Key: Rate] = [:]
        for (key, count) in Self.counts(new) where seconds > 0 {
            // A visitor that is new began with zero.
            let start = before[key] ?? (0, 0)
            rates[key] = Rate(
                toService: Double(max(0, count.toService - start.toService)) / seconds,
                toVisitor: Double(max(0, count.toVisitor - start.toVisitor)) / seconds
            )
        }
        self.rates = rates
    }

    subscript(key: Key) -> Rate? { rates[key] }

    private static func counts(_ status: RoleStatus) -> [Key: (toService: Int, toVisitor: Int)] {
        var counts: [Key: (toService: Int, toVisitor: Int)] = [
            .total: (status.totals.bytesToService, status.totals.bytesToVisitor)
        ]
        for session in status.sessions {
            for tunnel in session.tunnels {
                let key = Key.tunnel(session: session.number, tunnel.tunnel)
                counts[key] = (tunnel.bytesToService, tunnel.bytesToVisitor)
            }
            for visitor in session.visitors {
                guard let stream = visitor.stream else { continue }
                counts[.visitor(session: session.number, stream)] = (visitor.bytesToService, visitor.bytesToVisitor)
            }
        }
        return counts
    }
}
