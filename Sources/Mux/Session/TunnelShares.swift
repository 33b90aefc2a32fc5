/// How the places of a session are divided among its tunnels: any tunnel may take a place that is free, except for those
/// that the other tunnels keep in reserve.
///
/// A quarter of all places is reserve, the same for each tunnel and at least one, so that the visitors of one tunnel never
/// shut another one. Taking and giving back are O(1) in the number of tunnels.
struct TunnelShares {
    /// One part in so many of the places is reserve.
    static let reservePart = 4

    private let total: Int
    /// Places that each tunnel can always have.
    private(set) var reserve = 0
    private var tunnels: Set<UInt16> = []
    private var used: [UInt16: Int] = [:]
    /// Places that are taken.
    private(set) var taken = 0
    /// Places that tunnels keep in reserve and have not taken.
    private var keptFree = 0

    init(total: Int) {
        self.total = total
    }

    /// Whether a tunnel may take another place.
    func hasRoom(for tunnel: UInt16) -> Bool {
        guard taken < total else { return false }
        if tunnels.contains(tunnel), used[tunnel, default: 0] < reserve { return true }
        return taken + keptFree < total
    }

    /// A tunnel has come, and has a reserve from now on.
    mutating func add(_ tunnel: UInt16) {
        tunnels.insert(tunnel)
        divide()
    }

    /// A tunnel has gone, and its reserve is the others'.
    mutating func remove(_ tunnel: UInt16) {
        tunnels.remove(tunnel)
        divide()
    }

    private mutating func divide() {
        let count = tunnels.count
        reserve = count == 0 ? 0 : min(max(1, total / (Self.reservePart * count)), total / count)
        keptFree = tunnels.reduce(0) { $0 + max(0, reserve - used[$1, default: 0]) }
    }

    /// A tunnel takes a place.
    mutating func take(_ tunnel: UInt16) {
        let before = used[tunnel, default: 0]
        used[tunnel] = before + 1
        taken += 1
        if before < reserve, tunnels.contains(tunnel) { keptFree -= 1 }
    }

    /// A tunnel gives a place back.
    mutating func giveBack(_ tunnel: UInt16) {
        guard let before = used[tunnel], before > 0 else { return }
        used[tunnel] = before > 1 ? before - 1 : nil
        taken -= 1
        if before <= reserve, tunnels.contains(tunnel) { keptFree += 1 }
    }

    /// All places are given back.
    mutating func giveBackAll() {
        used = [:]
        taken = 0
        divide()
    }
}
