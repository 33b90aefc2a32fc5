import NetworkAddress

/// Which address of a destination its next flow uses. A UDP socket connects to any of them, so only a refusal shows that
/// there is no program at the first one.
package struct FlowRotation {
    /// Destinations that are remembered. Past it all are forgotten, and their next flows begin with the first address.
    static let maximum = 256

    private var turns: [String: Int] = [:]

    package init() {}

    /// The addresses in the order of the next flow.
    package func order(_ addresses: [IPAddress], of destination: String) -> [IPAddress] {
        guard let turn = turns[destination], !addresses.isEmpty else { return addresses }
        let first = turn % addresses.count
        return Array(addresses[first...] + addresses[..<first])
    }

    /// The destination has refused a flow: the next one uses another address.
    package mutating func refused(_ destination: String) {
        if turns.count >= Self.maximum, turns[destination] == nil { turns = [:] }
        turns[destination, default: 0] += 1
    }
}
