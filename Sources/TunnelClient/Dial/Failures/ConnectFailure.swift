import NIOCore
import NIOPosix
import TunnelCore

/// A failed name lookup or TCP connection, to the proxy or to the server.
enum ConnectFailure: Sendable {
    /// The name has no address, or could not be looked up.
    case name(NameFailure)
    /// The lookup took longer than the timeout.
    case nameTimedOut
    /// None of these addresses was connected within the timeout.
    case timedOut([SocketAddress])
    /// The first of these addresses did not answer.
    case addressTimedOut([SocketAddress])
    /// The first of these addresses refused the connection.
    case refused([SocketAddress])
    /// No route leads to the first of these addresses.
    case unreachable([SocketAddress])
    /// The connection to the first of these addresses failed in another way.
    case failed(String, [SocketAddress])
    /// The address could not be dialled.
    case unusable(String)
    /// An error of this process, before anything was sent.
    case local(String)

    /// Reads an error of `ClientBootstrap`.
    ///
    /// - Parameter offered: the addresses that the dial could connect to; empty before the name was looked up.
    init(_ error: any Error, offered: [SocketAddress]) {
        if case .connectTimeout? = error as? ChannelError {
            self = offered.isEmpty ? .nameTimedOut : .timedOut(offered)
            return
        }
        guard let failure = error as? NIOConnectionError else {
            self = .unusable(error.userDescription)
            return
        }
        guard let first = failure.connectionErrors.first else {
            self = .name(failure.nameFailure ?? .notFound)
            return
        }
        let addresses = failure.connectionErrors.map(\.target)
        if case .connectTimeout? = first.error as? ChannelError {
            self = .addressTimedOut(addresses)
            return
        }
        switch SocketFailure(first.error) {
        case .refused?: self = .refused(addresses)
        case .unreachable?: self = .unreachable(addresses)
        default: self = .failed(first.error.userDescription, addresses)
        }
    }

    /// The error for a person.
    func error(on route: DialRoute) -> DialError {
        let (host, port) = route.dialled
        let peer = route.proxy == nil ? "server" : "proxy"
        let seconds = route.hopSeconds
        switch self {
        case .name(let failure):
            let remedy =
                route.proxy == nil
                ? "check the name; if only the proxy can resolve it, give the proxy with --proxy"
                : "check the proxy's name"
            return route.error(.lookup, failure.sentence(about: host), remedy, .retry)
        case .nameTimedOut:
            let answer = "no answer about the name \(host) within \(seconds) s"
            return route.error(.lookup, answer, Self.remedyAfterTimeout(route, isLookup: true), .retry)
        case .timedOut(let addresses):
            let answer = "no connection for \(host):\(port) within \(seconds) s"
            return route.error(.connect, answer, Self.remedyAfterTimeout(route), .retry, at: addresses)
        case .addressTimedOut(let addresses):
            let answer = "\(host):\(port) did not answer within \(seconds) s"
            return route.error(.connect, answer, Self.remedyAfterTimeout(route), .retry, at: addresses)
        case .refused(let addresses):
            let answer = "\(host):\(port) refused the connection"
            return route.error(.connect, answer, "check that the \(peer) runs", .retry, at: addresses)
        case .unreachable(let addresses):
            return route.error(.connect, "no way to \(host):\(port)", "check the network", .retry, at: addresses)
        case .failed(let reason, let addresses):
            return route.error(.connect, "\(host):\(port): \(reason)", "", .retry, at: addresses)
        case .unusable(let reason):
            let remedy = "check the address of the \(peer)"
            return route.error(.connect, "\(host):\(port): \(reason)", remedy, .retry)
        case .local(let reason):
            return route.error(.connect, reason, "", .retry)
        }
    }

    private static func remedyAfterTimeout(_ route: DialRoute, isLookup: Bool = false) -> String {
        guard route.proxy == nil, !isLoopback(route.dialled.host) else { return "check the address and the network" }
        return isLookup
            ? "if this network wants a proxy, give it with --proxy"
            : "open port \(route.dialled.port) in the firewalls on the way; or, if this network wants a proxy, give it with --proxy"
    }
}
