import NetworkAddress

/// The admin server's connections: how many there are, and how many from each address.
package struct AdminSlots {
    private var taken = 0
    private var takenByAddress: [IPAddress: Int] = [:]

    /// Takes a place.
    ///
    /// - Parameter address: nil for a unix socket, where a file's mode decides who may connect.
    /// - Returns: false if there is none left, in all or for this address.
    package mutating func enter(_ address: IPAddress?, _ limits: AdminLimits) -> Bool {
        guard taken < limits.connections else { return false }
        if let key = address?.subscriber {
            guard takenByAddress[key, default: 0] < limits.connectionsPerAddress else { return false }
            takenByAddress[key, default: 0] += 1
        }
        taken += 1
        return true
    }

    /// Gives a place back.
    package mutating func leave(_ address: IPAddress?) {
        taken -= 1
        guard let key = address?.subscriber, let count = takenByAddress[key] else { return }
        takenByAddress[key] = count > 1 ? count - 1 : nil
    }
}
