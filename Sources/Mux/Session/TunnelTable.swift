/// The tunnels of a session by number: those asked for, those with a public port, and those that are given back.
struct TunnelTable {
    private enum State {
        case asked
        case bound
        /// UNBIND was sent, and UNBOUND has not come.
        case leaving
    }

    private var tunnels: [UInt16: State] = [:]

    /// Tunnels asked for and neither refused nor given up.
    var count: Int { tunnels.count }

    /// Returns whether a tunnel was asked for.
    func contains(_ tunnel: UInt16) -> Bool { tunnels[tunnel] != nil }

    /// Records a request for a tunnel.
    ///
    /// - Returns: false if the tunnel was already asked for.
    mutating func ask(_ tunnel: UInt16) -> Bool {
        guard tunnels[tunnel] == nil else { return false }
        tunnels[tunnel] = .asked
        return true
    }

    /// Records a tunnel's port.
    ///
    /// - Returns: false unless the tunnel waits for its port.
    mutating func bind(_ tunnel: UInt16) -> Bool {
        guard case .asked? = tunnels[tunnel] else { return false }
        tunnels[tunnel] = .bound
        return true
    }

    /// Records that a tunnel is given back.
    ///
    /// - Returns: false if it was not asked for, or is being given back already.
    mutating func leave(_ tunnel: UInt16) -> Bool {
        guard let state = tunnels[tunnel], state != .leaving else { return false }
        tunnels[tunnel] = .leaving
        return true
    }

    /// Returns whether a tunnel is being given back.
    func isLeaving(_ tunnel: UInt16) -> Bool { tunnels[tunnel] == .leaving }

    /// Removes a tunnel that was refused or given up.
    ///
    /// - Returns: false if the tunnel was not asked for.
    mutating func remove(_ tunnel: UInt16) -> Bool { tunnels.removeValue(forKey: tunnel) != nil }
}
