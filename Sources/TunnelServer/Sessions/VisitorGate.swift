import Mux
import NetworkAddress
import TunnelCore

/// Decides by address, number and rate which visitors one tunnel admits.
struct VisitorGate {
    var limits: VisitorLimits
    private(set) var visitors = 0
    private var rates: AddressRates

    init(_ limits: VisitorLimits, rememberedAddresses: Int) {
        self.limits = limits
        rates = AddressRates(remembered: rememberedAddresses)
    }

    /// Memory of the remembered addresses, bytes.
    var rememberedCost: Int { rates.cost }

    /// Admits a visitor, or returns the reason for its refusal. ``left()`` must follow when an admitted visitor goes.
    mutating func admit(_ visitor: IPAddress?, now: Instant) -> VisitorRefusal? {
        if !limits.allow.isEmpty || !limits.deny.isEmpty {
            guard let visitor = visitor?.unmapped, !limits.deny.contains(where: { $0.contains(visitor) }),
                limits.allow.isEmpty || limits.allow.contains(where: { $0.contains(visitor) })
            else { return .denied }
        }
        if let limit = limits.connections, visitors >= limit { return .tooMany }
        if let rate = limits.connectionsPerSecond, let visitor, !rates.admits(visitor, perSecond: rate, now: now) {
            return .tooFast
        }
        visitors += 1
        return nil
    }

    /// Notes that a visitor has gone.
    mutating func left() {
        visitors -= 1
    }
}
