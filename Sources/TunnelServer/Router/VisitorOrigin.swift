import HTTP1
import HTTPRelay
import NIOCore
import NetworkAddress
import TunnelCore

/// A visitor's connection to the router, as its socket, its ClientHello or a front describes it.
struct VisitorOrigin: Sendable {
    /// `203.0.113.9:40001`; `unix` for a socket in the file system.
    var description: String
    var address: IPAddress?
    /// The address that it has connected to.
    var publicAddress: String
    /// Whether it has come over TLS.
    var isSecure = false
    /// The name in its ClientHello.
    var serverName: PublicName?
    /// The fronts, if it comes from one.
    var front: TrustedFronts?
    /// Its place among the visitors' connections.
    var slot: VisitorSlot?
    /// Whether another server of the cluster has sent it. It goes no further.
    var isRelayed = false
    /// Whether the request states its origin itself: the server that has sent it has written the statement.
    private var isStated: Bool { isRelayed && !isSecure }

    init(_ channel: any Channel, fronts: TrustedFronts) {
        let peer = channel.peerAddress
        description = peer?.inShort ?? "unix"
        address = peer?.ip?.unmapped
        publicAddress = channel.localAddress?.inShort ?? ""
        front = fronts.contains(peer) ? fronts : nil
    }

    /// A visitor that another server of the cluster has sent.
    init(relayed visitor: RoutedVisitor) {
        (description, address, publicAddress) = (visitor.description, visitor.address, visitor.publicAddress)
        isRelayed = true
    }

    /// Notes what a PROXY header reports.
    mutating func note(_ header: ProxyProtocolHeader?) {
        guard let ends = header?.ends else { return }
        (description, address) = ("\(ends.source)", ends.source.address)
        publicAddress = "\(ends.destination)"
    }

    /// The visitor of one request: a front names it in the request's fields.
    func of(_ head: RequestHead) -> (routed: RoutedVisitor, request: RequestOrigin) {
        var routed = self.routed
        var isSecure = isSecure
        if let named = front?.origin(of: head) {
            routed = RoutedVisitor(description: "\(named)", address: named, publicAddress: publicAddress)
        }
        if front != nil || isStated {
            // A front appends its own value after the ones that its peer has sent.
            if let scheme = head.fields.list("X-Forwarded-Proto").last {
                isSecure = scheme.lowercased() == "https"
            }
        }
        let address = routed.address.map(\.description) ?? "unknown"
        return (routed, RequestOrigin(address: address, isSecure: isSecure, isFromFront: front != nil || isStated))
    }

    var routed: RoutedVisitor {
        RoutedVisitor(description: description, address: address, publicAddress: publicAddress)
    }
}
