/// The clients whose last session has ended, for the operator.
struct GoneClients {
    /// The limit of clients that are remembered. The one that left first is forgotten.
    static let limit = 64

    /// A client, with the end of its session.
    struct Entry: Sendable {
        let owner: PortOwner
        let facts: SessionFacts
        let origin: CarrierOrigin
        /// The places that were public, as the log writes them.
        let places: [String]
        /// When the session ended, in seconds since 1970.
        let since: Int64
        /// Why it ended.
        let reason: String
    }

    private var entries: [Entry] = []

    /// The clients, the latest first.
    var latestFirst: [Entry] { entries.reversed() }

    /// Notes that a client has left.
    mutating func left(_ entry: Entry) {
        returned(entry.owner)
        if entries.count == Self.limit { entries.removeFirst() }
        entries.append(entry)
    }

    /// Forgets a client that has another session.
    mutating func returned(_ owner: PortOwner) {
        entries.removeAll { $0.owner == owner }
    }
}
