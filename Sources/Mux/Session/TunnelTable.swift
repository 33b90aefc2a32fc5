/// The tunnels of a session, by their numbers: which were asked for, and which have their public port.
struct TunnelTable {
    private enum State {
        case asked
        case bound
    }

    private var tunnels: [UInt16: State] = [:]

    /// Tunnels that were asked for and not refused or given up since.
    var count: Int { tunnels.count }

    /// Whether a tunnel was asked for.
    func contains(_ tunnel: UInt16) -> Bool { tunnels[tunnel] != nil }

    /// A tunnel is asked for; false where it was already.
    mutating func ask(_ tunnel: UInt16) -> Bool {
        guard tunnels[tunnel] == nil else { return false }
        tunnels[tunnel] = .asked
        return true
    }

    /// A tunnel has its port; false where nobody waits for that.
    mutating func bind(_ tunnel: UInt16) -> Bool {
        guard case .asked? = tunnels[tunnel] else { return false }
        tunnels[tunnel] = .bound
        return true
    }

    /// A tunnel is refused or given up; false where it was not asked for.
    mutating func remove(_ tunnel: UInt16) -> Bool { tunnels.removeValue(forKey: tunnel) != nil }
}
