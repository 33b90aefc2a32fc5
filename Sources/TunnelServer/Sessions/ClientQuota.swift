import Mux
import NIOCore
import TunnelCore

/// What the connections of one client's session take of the server's descriptors and memory, and whether there is room for
/// another one.
struct ClientQuota {
    let resources: ServerResources
    let share: ClientShare

    /// Counts a connection among those of the client and of the process until it is closed.
    func count(_ channel: any Channel) {
        let shares = resources.shares
        share.connections.add(1, ordering: .relaxed)
        shares.connections.add(1, ordering: .relaxed)
        channel.closeFuture.assumeIsolated().whenComplete { [share] _ in
            share.connections.subtract(1, ordering: .relaxed)
            shares.connections.subtract(1, ordering: .relaxed)
        }
    }

    /// Counts a visitor that shares its connection with other streams; -1 once it is gone.
    func countStream(_ change: Int) {
        share.connections.add(change, ordering: .relaxed)
        resources.shares.connections.add(change, ordering: .relaxed)
    }

    /// The resource that is too scarce for another connection of this client; nil if none is.
    ///
    /// - Parameter isCounted: whether that connection is counted already.
    func shortage(_ limits: ServerLimits, isCounted: Bool) -> VisitorRefusal? {
        let (memory, shares) = (resources.memory, resources.shares)
        if memory.pressure >= .refusesStreams { return .noMemory }
        let held = share.memory.load(ordering: .relaxed)
        if shares.isExhausted(held, used: memory.used, capacity: memory.capacity) { return .noShare }
        guard let descriptors = ProcessUsage.descriptorLimit else { return nil }
        let itself = isCounted ? 1 : 0
        let own = share.connections.load(ordering: .relaxed) - itself
        let all = shares.connections.load(ordering: .relaxed) - itself
        let capacity = max(descriptors - limits.reservedDescriptors, descriptors / 2)
        return shares.isExhausted(own, used: all, capacity: capacity) ? .noShare : nil
    }
}
