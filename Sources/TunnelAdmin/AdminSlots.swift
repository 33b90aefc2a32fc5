import NetworkAddress

/// The number of the admin server's connections, in all and from each address.
package struct AdminSlots {
    private var count = 0
    private var countsByAddress: [IPAddress: Int] = [:]

    /// Takes a slot.
    ///
    /// - Parameter address: nil for a unix socket, whose mode decides which users may connect.
    /// - Returns: false if no slot is free, in all or for this address.
    package mutating func enter(_ address: IPAddress?, _ limits: AdminLimits) -> Bool {
        guard count < limits.connections else { return false }
        if let key = address?.subscriber {
            guard countsByAddress[key, default: 0] < limits.connectionsPerAddress else { return false }
            countsByAddress[key, default: 0] += 1
        }
        count += 1
        return true
    }

    /// Frees a slot.
    package mutating func leave(_ address: IPAddress?) {
        count -= 1
        guard let key = address?.subscriber, let left = countsByAddress[key].map({ $0 - 1 }) else { return }
        countsByAddress[key] = left > 0 ? left : nil
    }
}
