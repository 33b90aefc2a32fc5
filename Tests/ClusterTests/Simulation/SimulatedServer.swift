@testable import Cluster

/// A server of a simulation: its node, its sessions, and the state of its paths.
final class SimulatedServer {
    /// A client's session.
    struct Session {
        let number: UInt32
        /// The claims of the client's places; nil for one that is not wanted at present.
        var claims: [ClusterNode.ClaimID?]
    }

    /// A watch of a scope.
    struct Watch {
        let number: Int
        /// The last revision that was reported.
        var after: Revision
        var isScheduled = true
    }

    /// A path, and which of its directions are cut.
    struct Path {
        var isCutTo = 0
        var isCutFrom = 0
        var isWhole: Bool { isCutTo == 0 && isCutFrom == 0 }
    }

    let index: Int
    var node: ClusterNode
    var isAlive = true
    var isDraining = false
    var sessions: [Int: Session] = [:]
    var claims: [ClusterNode.ClaimID: (client: Int, place: Int)] = [:]
    /// Clients whose claims of a place are granted.
    var routes: [ClaimPlace: [Int]] = [:]
    var lookups: [ClusterNode.LookupID: (place: ClaimPlace, attempt: Int, sample: Int?)] = [:]
    var watches: [StoreScope: Watch] = [:]
    var lastWatch = 0
    var tickAt = UInt64.max
    /// Ticks at one time: many of them are a loop.
    var ticks = (at: UInt64(0), count: 0)
    var store = Path()
    var peers = Path()
    var hasLinks = true
    /// When the store could not be reached last.
    var troubledAt: UInt64?

    init(_ index: Int, _ node: ClusterNode) {
        (self.index, self.node) = (index, node)
    }
}

/// A client of a simulation.
struct SimulatedClient {
    let keys: [ClaimKey]
    /// The server of its newest session; nil while it has none.
    var server: Int?
    /// The number of its newest session.
    var session: UInt32 = 0
    /// An earlier session that still works, while the client moves.
    var old: (server: Int, session: UInt32)?
    /// Places that are granted to the newest session, a bit for each.
    var granted: UInt8 = 0
    var isConnecting = false
    /// Refusals of its places since the last grant.
    var refusals = 0
}

/// A fault that ends.
enum SimulatedFault {
    case storePath(server: Int, to: Bool, from: Bool)
    case peerPath(server: Int, to: Bool, from: Bool)
    case store
    case drain(server: Int)
}
