import NIOCore

/// A port of a session whose visitors come by a listener that the server already has for other servers of its cluster.
final class SharedListener: PortListener {
    let tunnel: UInt16
    let place: PublicPlace
    let addresses: String
    let requestedAddresses: Set<String>
    /// The cluster's listener accepts for all servers. Visitors wait in the session.
    var isAccepting = true

    init(_ place: PlaceToBind) {
        (tunnel, self.place) = (place.tunnel, place.place)
        addresses = place.addresses.joined(separator: " ")
        requestedAddresses = Set(place.addresses)
    }

    /// The session gives the share back once its last tunnel has released the place.
    func close(on loop: any EventLoop) -> EventLoopFuture<Void> { loop.makeSucceededVoidFuture() }
}
