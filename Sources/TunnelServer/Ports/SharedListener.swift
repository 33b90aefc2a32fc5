import NIOCore

/// A port of a session whose visitors come by a listener that the server already has for other servers of its cluster.
final class SharedListener: PortListener {
    let tunnel: UInt16
    let place: PublicPlace
    let addresses: String
    let requestedAddresses: Set<String>
    /// The cluster's listener accepts for all servers. Visitors wait in the session.
    var isAccepting = true
    private var leave: (() -> Void)?

    /// - Parameter leave: called once, when the port is given back.
    init(_ place: PlaceToBind, leavesBy leave: @escaping () -> Void) {
        (tunnel, self.place, self.leave) = (place.tunnel, place.place, leave)
        addresses = place.addresses.joined(separator: " ")
        requestedAddresses = Set(place.addresses)
    }

    func close(on loop: any EventLoop) -> EventLoopFuture<Void> {
        leave?()
        leave = nil
        return loop.makeSucceededVoidFuture()
    }
}
