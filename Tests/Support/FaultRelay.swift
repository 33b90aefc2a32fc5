import Foundation
import Synchronization

/// A relay on a loopback port that can be told to fail, in the ways in which what is between two machines fails.
public final class FaultRelay: Sendable {
    /// How connections are cut.
    public enum Cut: Sendable, CaseIterable {
        /// FIN, both ways.
        case end
        /// RST, both ways.
        case reset
        /// A part of the next bytes of each direction, and FIN in the middle of whatever they are.
        case truncated
    }

    /// In which directions bytes vanish without a word. Connections stay open, and new ones are accepted.
    public struct Hole: OptionSet, Sendable {
        /// A bit for each direction.
        public let rawValue: Int

        /// Of bits.
        public init(rawValue: Int) { self.rawValue = rawValue }

        /// From who connects to whom it connects to.
        public static let forward = Hole(rawValue: 1)
        /// The other way.
        public static let back = Hole(rawValue: 2)
        /// Both.
        public static let both: Hole = [.forward, .back]
    }

    private struct State {
        var hole: Hole = []
        var generation = 0
        var cut = Cut.end
        var connections = 0
    }

    /// How long a blocked direction takes to see what it was told.
    private static let patience = Duration.milliseconds(500)

    private final class Shared: Sendable {
        let state = Mutex(State())
    }

    private let shared: Shared
    private let service: TCPService

    /// - Parameter target: the port that it leads to.
    public init(to target: UInt16) throws {
        let shared = Shared()
        self.shared = shared
        service = try TCPService(patience: Self.patience) { socket in
            let other = try TCPSocket(port: target, patience: Self.patience)
            shared.state.withLock { $0.connections += 1 }
            defer { shared.state.withLock { $0.connections -= 1 } }
            Connection(shared, socket, other).run()
        }
    }

    /// Where it listens.
    public var port: UInt16 { service.port }

    /// Connections so far.
    public var accepted: Int { service.accepted }

    /// Connections that pass through it now.
    public var connections: Int { shared.state.withLock { $0.connections } }

    /// Cuts all connections that there are.
    public func cut(_ how: Cut) {
        shared.state.withLock { state in
            state.generation += 1
            state.cut = how
        }
    }

    /// From now on bytes vanish, or no longer.
    public func setHole(_ hole: Hole) {
        shared.state.withLock { $0.hole = hole }
    }

    /// One connection, passed on by two threads.
    private struct Connection: Sendable {
        let shared: Shared
        let near: TCPSocket
        let far: TCPSocket
        let generation: Int

        init(_ shared: Shared, _ near: TCPSocket, _ far: TCPSocket) {
            (self.shared, self.near, self.far) = (shared, near, far)
            generation = shared.state.withLock { $0.generation }
        }

        /// Returns when both directions have ended.
        func run() {
            let isDone = DispatchSemaphore(value: 0)
            Thread.detachNewThread {
                pass(far, to: near, .back)
                isDone.signal()
            }
            pass(near, to: far, .forward)
            isDone.wait()
            // Both threads are through: nobody waits on a descriptor that is closed here.
            let isReset = shared.state.withLock { $0.generation != generation && $0.cut == .reset }
            for socket in [near, far] {
                if isReset { socket.abort() } else { socket.close() }
            }
        }

        private func pass(_ source: TCPSocket, to sink: TCPSocket, _ direction: Hole) {
            while true {
                let (isCut, cut, hole) = shared.state.withLock { ($0.generation != generation, $0.cut, $0.hole) }
                if isCut, cut != .truncated { return }
                do {
                    let bytes = try source.receive()
                    if bytes.isEmpty {
                        if !hole.contains(direction) { try sink.finishSending() }
                        return
                    }
                    if isCut { return try sink.send(Array(bytes.prefix(bytes.count / 2))) }
                    if !hole.contains(direction) { try sink.send(bytes) }
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
