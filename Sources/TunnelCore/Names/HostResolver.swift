import NIOCore
import NIOPosix
import Synchronization

/// ``HostNames`` for one connection, as NIO asks for it.
package final class HostResolver: Resolver, Sendable {
    private struct State {
        var answer: EventLoopFuture<[SocketAddress]>?
        var ticket: HostNames.Ticket?
    }

    private let names: HostNames
    private let purpose: NameTable.Purpose
    private let loop: any EventLoop
    private let choose: @Sendable ([SocketAddress]) -> [SocketAddress]
    private let state = Mutex(State())

    /// - Parameter choose: those of a name's addresses that are connected to; called on `loop`.
    package init(
        _ names: HostNames = .shared,
        for purpose: NameTable.Purpose,
        on loop: any EventLoop,
        choose: @escaping @Sendable ([SocketAddress]) -> [SocketAddress] = { $0 }
    ) {
        self.names = names
        self.purpose = purpose
        self.loop = loop
        self.choose = choose
    }

    package func initiateAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> {
        answer(host, port).map { addresses in addresses.filter { $0.protocol == .inet } }
    }

    package func initiateAAAAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> {
        answer(host, port).map { addresses in addresses.filter { $0.protocol == .inet6 } }
    }

    package func cancelQueries() {
        if let ticket = state.withLock({ $0.ticket }) { names.cancel(ticket) }
    }

    /// One lookup serves both queries, and both are answered in one go.
    private func answer(_ host: String, _ port: Int) -> EventLoopFuture<[SocketAddress]> {
        state.withLock { state in
            if let answer = state.answer { return answer }
            let (found, ticket) = names.addresses(of: host, for: purpose, on: loop)
            let answer = found.map { [choose] addresses in
                choose(
                    addresses.map { address in
                        var address = address
                        address.port = port
                        return address
                    }
                )
            }
            state.answer = answer
            state.ticket = ticket
            return answer
        }
    }
}

extension NIOConnectionError {
    /// Why the name has led to no address; nil if it has led to one.
    package var nameFailure: NameFailure? {
        guard connectionErrors.isEmpty else { return nil }
        return (dnsAAAAError ?? dnsAError) as? NameFailure ?? .notFound
    }
}
