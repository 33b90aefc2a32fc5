import Mux
import NIOCore
import Synchronization
import TunnelAdmin
import TunnelCore

/// Decides which addresses of a name a dial connects to, one after the other, until one gives a session.
///
/// NIO chooses among several by who answers first (RFC 8305). An address that connects, and then fails in a later hop,
/// is left out of the dial's next connection.
final class AddressRotation: Sendable {
    /// Connections in one dial that may fail after they stood. 8: each may take 10 s for a hop, and other ways wait.
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

    init(_ suspects: SuspectAddresses = SuspectAddresses()) {
        self.suspects = suspects
    }

    /// A connection is about to be made.
    ///
    /// - Parameter again: to the address of the one before.
    func begin(again: Bool) {
        state.withLock { state in
            state.pinned = again ? state.connected : nil
            state.connected = nil
            state.offered = []
        }
    }

    /// Those of a name's addresses that this connection may be made to.
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
            }
            return state.offered
        }
    }

    /// What this connection may be made to; empty while its name is being looked up.
    var offered: [SocketAddress] { state.withLock { $0.offered } }

    /// Whether this connection's name has led to addresses.
    var isLookedUp: Bool { !offered.isEmpty }

    /// The address that is connected; nil before that.
    var connected: SocketAddress? { state.withLock { $0.connected } }

    /// A connection stands.
    ///
    /// - Returns: false if another one was earlier.
    func connected(to address: SocketAddress?) -> Bool {
        state.withLock { state in
            guard state.connected == nil else { return false }
            state.connected = address
            return true
        }
    }

    /// The dial has failed here.
    ///
    /// - Returns: whether another address is left.
    func failed() -> Bool {
        let now = Instant.now
        return state.withLock { state in
            if let connected = state.connected {
                if state.known.count > 1 { suspects.insert(connected, now: now) }
                state.failed.append(connected)
            } else {
                state.failed += state.offered
            }
            state.tries += 1
            return state.tries < Self.maximumTries && state.known.contains { !state.failed.contains($0) }
        }
    }

    /// The dial has led to a session.
    func succeeded() {
        if let connected { suspects.remove(connected) }
    }
}

/// Addresses that connected and then failed: dials try others of the same name first.
final class SuspectAddresses: Sendable {
    /// How long they are. 10 min: a server that was mended is then as good as its neighbours.
    static let validity = Duration.seconds(600)
    /// How many are remembered. 64: few names have more than a handful.
    static let maximum = 64

    private let until = Mutex<[SocketAddress: Instant]>([:])

    func contains(_ address: SocketAddress, now: Instant) -> Bool {
        until.withLock { until in until[address].map { $0 > now } ?? false }
    }

    func insert(_ address: SocketAddress, now: Instant) {
        until.withLock { until in
            if until.count >= Self.maximum { until = until.filter { $0.value > now } }
            guard until.count < Self.maximum || until[address] != nil else { return }
            until[address] = now + Self.validity
        }
    }

    func remove(_ address: SocketAddress) {
        until.withLock { $0[address] = nil }
    }
}

extension DialError {
    /// Whether another address of the same name may lead further. Not after an answer that each of them would give: a
    /// proxy's, and a server's refusal.
    var mayDifferElsewhere: Bool {
        guard !isFinal, disposition != .refused, disposition != .configuration else { return false }
        switch hop {
        case .proxyScript, .lookup: return false
        case .connect, .proxyTLS, .proxy: return true
        // What lies behind a proxy is not reached by the address that we have dialled.
        case .tls, .upgrade, .session: return proxy == nil
        }
    }

    /// The more telling one of two: one that may pass counts before one that ends the client, and then the farther hop.
    func moreTelling(than other: DialError?) -> DialError {
        guard let other else { return self }
        let hops = Hop.allCases
        let (own, others) = (hops.firstIndex(of: hop) ?? 0, hops.firstIndex(of: other.hop) ?? 0)
        if (disposition == .retry) != (other.disposition == .retry) { return disposition == .retry ? self : other }
        return own > others ? self : other
    }
}
