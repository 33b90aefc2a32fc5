import Mux
import NIOCore
import Synchronization
import TunnelCore

/// The sessions that one client keeps at different servers: the server of each, and the tunnels that each has made public.
///
/// One session has the tunnels that no group can share: the first one, and another one once its server stops or it is over.
/// So these tunnels have a server as long as any is left.
///
/// The ids of all sessions of one server process begin with the same four bytes.
final class SessionSpread: Sendable {
    private struct Place {
        let session: [UInt8]
        let endpoint: EndpointURL
        /// Whether the server is stopping.
        var isLeaving = false

        var server: ArraySlice<UInt8> { session.prefix(4) }
    }

    private struct State {
        /// By the sessions' numbers.
        var places: [Int: Place] = [:]
        /// The numbers of the sessions in which a tunnel is public, by tunnel.
        var published: [Int: Set<Int>] = [:]
        /// The number of the session that has the tunnels that no group can share.
        var keeper = 0
        var onMove: @Sendable () -> Void = {}

        /// Gives these tunnels to a session that lives, if their own is over.
        ///
        /// - Returns: whether another one has them now.
        mutating func chooseKeeper() -> Bool {
            guard places[keeper]?.isLeaving ?? true, let next = places.filter({ !$0.value.isLeaving }).keys.min() else {
                return false
            }
            keeper = next
            return true
        }
    }

    private let state = Mutex(State())
    /// The sockets of all sessions that lead to services.
    let sockets: NIOLoopBoundBox<LoopDetector.Sockets>

    /// - Parameter loop: the event loop of the sessions.
    init(on loop: any EventLoop) {
        sockets = NIOLoopBoundBox.makeBoxSendingValue(LoopDetector.Sockets(), eventLoop: loop)
    }

    // MARK: Servers

    /// Takes a server for a session that is about to begin, in place of an earlier one of the same number.
    ///
    /// - Returns: false if a session of another number has the server.
    func takes(_ session: [UInt8], at endpoint: EndpointURL, for number: Int) -> Bool {
        let place = Place(session: session, endpoint: endpoint)
        return state.withLock { state in
            guard !state.places.contains(where: { $0.key != number && $0.value.server == place.server }) else {
                return false
            }
            state.places[number] = place
            _ = state.chooseKeeper()
            return true
        }
    }

    /// Records the end of a session, unless another one of the same number has begun.
    func left(_ session: [UInt8], by number: Int) {
        let onMove = state.withLock { state in
            guard state.places[number]?.session == session else { return nil as (@Sendable () -> Void)? }
            state.places[number] = nil
            return state.chooseKeeper() ? state.onMove : nil
        }
        onMove?()
    }

    /// Records that the server of a session is stopping, which has closed the session's ports.
    func leaves(_ session: [UInt8], by number: Int) {
        let onMove = state.withLock { state in
            guard state.places[number]?.session == session else { return nil as (@Sendable () -> Void)? }
            state.places[number]?.isLeaving = true
            return state.chooseKeeper() ? state.onMove : nil
        }
        onMove?()
    }

    /// - Parameter onMove: called when another session has the tunnels that no group can share.
    func observe(_ onMove: @escaping @Sendable () -> Void) {
        state.withLock { $0.onMove = onMove }
    }

    /// Whether a session has the tunnels that no group can share.
    func keepsUnshared(_ number: Int) -> Bool { state.withLock { $0.keeper == number } }

    /// The endpoints of the other sessions.
    func endpoints(besides number: Int) -> Set<EndpointURL> {
        state.withLock { state in Set(state.places.filter { $0.key != number }.map(\.value.endpoint)) }
    }

    // MARK: Tunnels

    /// Records that a tunnel is public in a session.
    ///
    /// - Returns: whether it was public in none before.
    func published(_ tunnel: Int, by number: Int) -> Bool {
        state.withLock { state in
            let isFirst = state.published[tunnel, default: []].isEmpty
            state.published[tunnel, default: []].insert(number)
            return isFirst
        }
    }

    /// Records that a tunnel is not public in a session any more.
    func withdrew(_ tunnel: Int, by number: Int) {
        _ = state.withLock { $0.published[tunnel]?.remove(number) }
    }

    /// Records that a session has no public tunnel any more.
    func withdrewAll(by number: Int) {
        state.withLock { state in
            for tunnel in state.published.keys { state.published[tunnel]?.remove(number) }
        }
    }

    /// Whether a tunnel is public in any session.
    func isPublic(_ tunnel: Int) -> Bool {
        state.withLock { $0.published[tunnel]?.isEmpty == false }
    }
}
