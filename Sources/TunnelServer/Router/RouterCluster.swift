import Cluster
import HTTP1
import HTTPRelay
import NIOCore
import TunnelCore

/// Names whose clients have their sessions at other servers of the cluster: a visitor's connection goes there.
///
/// TLS goes on as it comes. Without TLS, the head of the request is written anew, and the connection has no further request.
extension Router {
    /// The way to the server that has a name, if this one does not have it.
    ///
    /// - Returns: nil if the cluster need not be asked; otherwise a future that does not fail, of nil without such a server.
    func remoteHome(
        of name: PublicName,
        _ origin: VisitorOrigin,
        isSecure: Bool,
        on loop: any EventLoop
    ) -> EventLoopFuture<NameHome>? {
        guard let cluster = core.resources.cluster, !origin.isRelayed, !core.resources.routes.has(name),
            name != core.routerRules.endpointHost, core.routerRules.clientNames.covers(name)
        else { return nil }
        let destination = PeerDestination.names(name.description, isSecure: isSecure)
        guard destination.fits else { return nil }
        return cluster.home(of: name.description, destination, on: loop)
    }

    /// The same for a request.
    func remoteHome(
        of head: RequestHead,
        _ origin: VisitorOrigin,
        on loop: any EventLoop
    ) -> EventLoopFuture<NameHome>? {
        guard core.resources.cluster != nil, !origin.isSecure,
            let name = (try? RelayedRequest.destination(of: head))?.name
        else { return nil }
        return remoteHome(of: name, origin, isSecure: false, on: loop)
    }
}
