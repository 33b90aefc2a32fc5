import Foundation
import Synchronization

/// A relay on a loopback port that simulates the faults of a network.
public final class FaultRelay: Sendable {
    /// The way to cut connections.
    public enum Cut: Sendable, CaseIterable {
        /// FIN in both directions.
        case end
        /// RST in both directions.
        case reset
        /// A part of the next bytes of each direction, and then FIN.
        case truncated
    }

    /// The directions in which the relay discards bytes. Connections stay open, and new ones are accepted.
    public struct Blackhole: OptionSet, Sendable {
        /// A bit for each direction.
        public let rawValue: Int

        /// - Parameter rawValue: the bits.
        public init(rawValue: Int) { self.rawValue = rawValue }

        /// From the connecting end to the target.
        public static let forward = Blackhole(rawValue: 1)
        /// From the target to the connecting end.
        public static let back = Blackhole(rawValue: 2)
        /// Both directions.
        public static let both: Blackhole = [.forward, .back]
    }

    private struct State {
        var blackhole: Blackhole = []
        var generation = 0
        var cut = Cut.end
        var connections = 0
        /// The number of the next connection, those that are open, and how single ones of them are cut.
        var next = 0
        var open: Set<Int> = []
        var cuts: [Int: Cut] = [:]
        var blackholes: [Int: Blackhole] = [:]
        var most = Int.max
        var target: UInt16 = 0
    }

    /// The interval at which a blocked direction checks for a change.
    private static let timeout = Duration.milliseconds(500)

    private final class Shared: Sendable {
        let state = Mutex(State())
    }

    private let shared: Shared
    private let service: TCPService

    /// - Parameter target: the port of the target.
    public init(to target: UInt16) throws {
        let shared = Shared()
        self.shared = shared
        shared.state.withLock { $0.target = target }
        service = try TCPService(timeout: Self.timeout) { socket in
            guard shared.state.withLock({ $0.open.count < $0.most }) else { return socket.abort() }
            let other = try TCPSocket(port: shared.state.withLock(\.target), timeout: Self.timeout)
            let connection = Connection(shared, socket, other)
            defer { connection.end() }
            connection.run()
        }
    }

    /// The port on which it listens.
    public var port: UInt16 { service.port }

    /// Sends further connections to another port.
    public func setTarget(_ target: UInt16) {
        shared.state.withLock { $0.target = target }
    }

    /// The number of connections so far.
    public var accepted: Int { service.accepted }

    /// The number of open connections.
    public var connections: Int { shared.state.withLock { $0.connections } }

    /// Cuts all open connections.
    public func cut(_ how: Cut) {
        shared.state.withLock { state in
            state.generation += 1
            state.cut = how
        }
    }

    /// The numbers of the open connections, in the order in which they were accepted.
    public var open: [Int] { shared.state.withLock { $0.open.sorted() } }

    /// Cuts one open connection.
    public func cut(_ how: Cut, connection number: Int) {
        shared.state.withLock { state in
            if state.open.contains(number) { state.cuts[number] = how }
        }
    }

    /// Sets the directions in which the relay discards bytes of one connection.
    public func setBlackhole(_ blackhole: Blackhole, connection number: Int) {
        shared.state.withLock { state in
            if state.open.contains(number) { state.blackholes[number] = blackhole }
        }
    }

    /// Sets the number of connections beyond which further ones are reset.
    public func setMost(_ most: Int) {
        shared.state.withLock { $0.most = most }
    }

    /// Sets the directions in which the relay discards bytes. A connection that has lost bytes delivers no later ones of
    /// that direction, until it is cut.
    public func setBlackhole(_ blackhole: Blackhole) {
        shared.state.withLock { $0.blackhole = blackhole }
    }

    /// One connection, relayed by two threads.
    private struct Connection: Sendable {
        let shared: Shared
        let near: TCPSocket
        let far: TCPSocket
        let generation: Int
        let number: Int

        init(_ shared: Shared, _ near: TCPSocket, _ far: TCPSocket) {
            (self.shared, self.near, self.far) = (shared, near, far)
            (generation, number) = shared.state.withLock { state in
                defer { state.next += 1 }
                state.open.insert(state.next)
                state.connections += 1
                return (state.generation, state.next)
            }
        }

        func end() {
            shared.state.withLock { state in
                state.connections -= 1
                state.open.remove(number)
                state.cuts[number] = nil
                state.blackholes[number] = nil
            }
        }

        /// How the connection is cut; nil if it is not.
        private var cut: Cut? {
            shared.state.withLock { $0.generation != generation ? $0.cut : $0.cuts[number] }
        }

        /// Relays until both directions have ended.
        func run() {
            let isDone = DispatchSemaphore(value: 0)
            Thread.detachNewThread {
                pass(far, to: near, .back)
                isDone.signal()
            }
            pass(near, to: far, .forward)
            isDone.wait()
            // Both threads have ended, so no thread waits on a descriptor that is closed here.
            let isReset = cut == .reset
            for socket in [near, far] {
                if isReset { socket.abort() } else { socket.close() }
            }
        }

        private func pass(_ source: TCPSocket, to sink: TCPSocket, _ direction: Blackhole) {
            // No network delivers later bytes of a TCP connection without the earlier ones.
            var hasDiscarded = false
            while true {
                let cut = cut
                if cut != nil, cut != .truncated { return }
                do {
                    let bytes = try source.receive()
                    // Read now, so that it holds for what arrives after the change.
                    let blackhole = shared.state.withLock { $0.blackhole.union($0.blackholes[number] ?? []) }
                    let isDiscarded = hasDiscarded || blackhole.contains(direction)
                    if bytes.isEmpty {
                        if !isDiscarded { try sink.finishSending() }
                        return
                    }
                    hasDiscarded = isDiscarded
                    if isDiscarded { continue }
                    if cut != nil { return try sink.send(Array(bytes.prefix(bytes.count / 2))) }
                    try sink.send(bytes)
                } catch SocketError.timedOut {
                    if cut != nil { return }
                } catch {
                    source.cut()
                    sink.cut()
                    return
                }
            }
        }
    }
}
