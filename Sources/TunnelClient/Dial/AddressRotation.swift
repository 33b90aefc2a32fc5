import Mux
import NIOCore
import Synchronization
import TunnelCore

/// Decides which addresses of a name a dial connects to, one after the other, until one leads to a session.
///
/// Of several addresses NIO takes the one that answers first (RFC 8305). An address that is connected and then fails in a
/// later hop is left out of the next connection of the dial.
final class AddressRotation: Sendable {
    /// Connections of one dial that may fail after TCP. Each may take the timeout of a hop, while other ways wait.
    static let maximumTries = 8

    private struct State {
        var known: [SocketAddress] = []
        var offered: [SocketAddress] = []
        var failed: [SocketAddress] = []
        var connected: SocketAddress?
        var pinned: SocketAddress?
        var tries = 0
    }

    private let state = Mutex(State())
    private let suspects: SuspectAddresses
    private let preference: Preference

    /// Which of several good addresses a connection takes first.
    enum Preference: Sendable {
        /// The one that answers first.
        case none
        /// This one, if the name still has it.
        case address(SocketAddress)
        /// The one at this index, modulo the number of addresses.
        case place(Int)
    }

    init(_ suspects: SuspectAddresses = SuspectAddresses(), preferring preference: Preference = .none) {
        self.suspects = suspects
        self.preference = preference
    }

    /// Begins a connection.
    ///
    /// - Parameter again: whether it must lead to the address of the one before.
    func begin(again: Bool) {
        state.withLock { state in
            state.pinned = again ? state.connected : nil
            state.connected = nil
            state.offered = []
        }
    }

    /// The addresses of a name that this connection may use.
    func choose(among addresses: [SocketAddress]) -> [SocketAddress] {
        let now = Instant.now
        return state.withLock { state in
            state.known = addresses
            if let pinned = state.pinned {
                state.offered = [pinned]
            } else {
                let left = addresses.filter { !state.failed.contains($0) }
                let good = left.filter { !suspects.contains($0, now: now) }
                state.offered = !good.isEmpty ? good : !left.isEmpty ? left : addresses
                switch preference {
                case .address(let address) where state.offered.contains(address): state.offered = [address]
                case .place(let place) where !state.offered.isEmpty:
                    state.offered = [state.offered[place % state.offered.count]]
                case .none, .address, .place: break
                }
            }
            return state.offered
        }
    }

    /// The addresses that this connection may use; empty during the lookup of the name.
    var offered: [SocketAddress] { state.withLock { $0.offered } }

    /// The address that is connected; nil before that.
    var connected: SocketAddress? { state.withLock { $0.connected } }

    /// Records that an address is connected.
    ///
    /// - Returns: false if another one was connected before.
    func connected(to address: SocketAddress?) -> Bool {
        state.withLock { state in
            guard state.connected == nil else { return false }
            state.connected = address
            return true
        }
    }

    /// Records that the dial failed at the connected address, or at all that were offered.
    ///
    /// - Parameter isSuspect: whether later dials try the address last.
    /// - Returns: whether another address is left.
    func failed(isSuspect: Bool = true) -> Bool {
        let now = Instant.now
        return state.withLock { state in
            if let connected = state.connected {
                if isSuspect, state.known.count > 1 { suspects.insert(connected, now: now) }
                state.failed.append(connected)
            } else {
                state.failed += state.offered
            }
            state.tries += 1
            return state.tries < Self.maximumTries && state.known.contains { !state.failed.contains($0) }
        }
    }

    /// Records that the dial has led to a session.
    func succeeded() {
        if let connected { suspects.remove(connected) }
    }
}
