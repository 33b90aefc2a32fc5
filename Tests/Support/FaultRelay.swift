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
        service = try TCPService(timeout: Self.timeout) { socket in
            let other = try TCPSocket(port: target, timeout: Self.timeout)
            shared.state.withLock { $0.connections += 1 }
            defer { shared.state.withLock { $0.connections -= 1 } }
            Connection(shared, socket, other).run()
        }
    }

    /// The port on which it listens.
    public var port: UInt16 { service.port }

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

    /// Sets the directions in which the relay discards bytes.
    public func setBlackhole(_ blackhole: Blackhole) {
        shared.state.withLock { $0.blackhole = blackhole }
    }

    /// One connection, relayed by two threads.
    private struct Connection: Sendable {
        let shared: Shared
        let near: TCPSocket
        let far: TCPSocket
        let generation: Int

        init(_ shared: Shared, _ near: TCPSocket, _ far: TCPSocket) {
            (self.shared, self.near, self.far) = (shared, near, far)
            generation = shared.state.withLock { $0.generation }
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
            let isReset = shared.state.withLock { $0.generation != generation && $0.cut == .reset }
            for socket in [near, far] {
                if isReset { socket.abort() } else { socket.close() }
            }
        }

        private func pass(_ source: TCPSocket, to sink: TCPSocket, _ direction: Blackhole) {
            while true {
                let (isCut, cut) = shared.state.withLock { ($0.generation != generation, $0.cut) }
                if isCut, cut != .truncated { return }
                do {
                    let bytes = try source.receive()
                    // Read now, so that it holds for what arrives after the change.
                    let blackhole = shared.state.withLock { $0.blackhole }
                    if bytes.isEmpty {
                        if !blackhole.contains(direction) { try sink.finishSending() }
                        return
                    }
                    if isCut { return try sink.send(Array(bytes.prefix(bytes.count / 2))) }
                    if !blackhole.contains(direction) { try sink.send(bytes) }
                } catch SocketError.timedOut {
                    if isCut { return }
                } catch {
                    source.cut()
                    sink.cut()
                    return
                }
            }
        }
    }
}
