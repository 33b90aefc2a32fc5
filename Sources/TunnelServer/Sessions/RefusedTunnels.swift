import Mux

/// The tunnels that a session's client wants and does not have, with the server's reasons.
struct RefusedTunnels {
    /// One of them.
    struct Entry {
        let request: BindRequest
        let reason: Refusal
    }

    /// The limit of tunnels, as for those that are public.
    let limit: Int
    private var entries: [UInt16: Entry] = [:]

    init(limit: Int) {
        self.limit = limit
    }

    /// The tunnels by number.
    var all: [Entry] { entries.values.sorted { $0.request.tunnel < $1.request.tunnel } }

    var count: Int { entries.count }

    /// Notes that a tunnel is not public. Beyond the limit it is not noted, since the client chooses the number.
    mutating func refused(_ request: BindRequest, _ reason: Refusal) {
        guard entries[request.tunnel] != nil || entries.count < limit else { return }
        entries[request.tunnel] = Entry(request: request, reason: reason)
    }

    /// Notes that a tunnel is public, or is not wanted any more.
    mutating func settled(_ tunnel: UInt16) {
        entries[tunnel] = nil
    }
}
