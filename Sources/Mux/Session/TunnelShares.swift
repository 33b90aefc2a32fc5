/// Divides a session's places among its tunnels. A tunnel may take any free place except those reserved for other
/// tunnels.
///
/// A quarter of the places is reserved, in equal parts of at least one place. So the visitors of one tunnel never shut
/// out another tunnel. Taking and returning a place are O(1) in the number of tunnels.
struct TunnelShares {
    /// Divisor of the places that gives the reserve of all tunnels.
    static let reservePart = 4

    private let total: Int
    /// Places reserved for each tunnel.
    private(set) var reserve = 0
    private var tunnels: Set<UInt16> = []
    private var used: [UInt16: Int] = [:]
    /// Places in use.
    private(set) var taken = 0
    /// Reserved places that are not in use.
    private var keptFree = 0

    init(total: Int) {
        self.total = total
    }

    /// Returns whether a tunnel may take another place.
    func hasRoom(for tunnel: UInt16) -> Bool {
        guard taken < total else { return false }
        if tunnels.contains(tunnel), used[tunnel, default: 0] < reserve { return true }
        return taken + keptFree < total
    }

    /// Adds a tunnel with a reserve.
    mutating func add(_ tunnel: UInt16) {
        tunnels.insert(tunnel)
        divide()
    }

    /// Removes a tunnel and divides its reserve among the others.
    mutating func remove(_ tunnel: UInt16) {
        tunnels.remove(tunnel)
        divide()
    }

    private mutating func divide() {
        let count = tunnels.count
        reserve = count == 0 ? 0 : min(max(1, total / (Self.reservePart * count)), total / count)
        keptFree = tunnels.reduce(0) { $0 + max(0, reserve - used[$1, default: 0]) }
    }

    /// Takes a place for a tunnel.
    mutating func take(_ tunnel: UInt16) {
        let before = used[tunnel, default: 0]
        used[tunnel] = before + 1
        taken += 1
        if before < reserve, tunnels.contains(tunnel) { keptFree -= 1 }
    }

    /// Returns a tunnel's place.
    mutating func giveBack(_ tunnel: UInt16) {
        guard let before = used[tunnel], before > 0 else { return }
        used[tunnel] = before > 1 ? before - 1 : nil
        taken -= 1
        if before <= reserve, tunnels.contains(tunnel) { keptFree += 1 }
    }

    /// Returns all places.
    mutating func giveBackAll() {
        used = [:]
        taken = 0
        divide()
    }
}
