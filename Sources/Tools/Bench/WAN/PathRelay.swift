import CNamespace
import Glibc

/// Moves packets between two TUN devices as a path of a shape does, on one thread.
final class PathRelay {
    /// One direction of the path.
    private final class Direction {
        let source: Int32
        let sink: Int32
        var shaper: PacketShaper
        var queue = PacketQueue()

        init(from source: Int32, to sink: Int32, _ shaper: PacketShaper) {
            (self.source, self.sink, self.shaper) = (source, sink, shaper)
        }

        /// Reads the packets that wait in the device, up to a number.
        func receive(at now: Double, limit: Int) {
            for _ in 0..<limit {
                let slot = queue.free
                let count = read(source, slot.baseAddress, slot.count)
                guard count > 0 else { return }
                if case .arrives(let due) = shaper.take(bytes: count, at: now) {
                    queue.append(length: count, due: due)
                }
            }
        }

        /// The time of the next arrival.
        var due: Double? { queue.due }

        func deliver(at now: Double) {
            queue.deliver(at: now) { _ = write(sink, $0.baseAddress, $0.count) }
        }
    }

    /// Packets of one direction between two looks at the clock.
    private static let batch = 32
    /// A packet may arrive so much too early, in seconds, because the next wait would end later.
    private static let tolerance = 20e-6

    private let directions: [Direction]

    /// - Parameters:
    ///   - client: the device of the client's end.
    ///   - server: the device of the server's end.
    ///   - seed: determines which packets are lost.
    init(client: Int32, server: Int32, _ shape: PathShape, seed: UInt64) {
        directions = [
            Direction(from: client, to: server, PacketShaper(shape, seed: 2 &* seed)),
            Direction(from: server, to: client, PacketShaper(shape, seed: 2 &* seed &+ 1)),
        ]
    }

    /// The packets from the client and to the client.
    var counts: PathCounts { PathCounts(up: directions[0].shaper.counts, down: directions[1].shaper.counts) }

    /// Moves packets until standard input ends.
    func run() {
        var entries = (directions.map(\.source) + [STDIN_FILENO]).map {
            pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
        }
        while entries[2].revents == 0 {
            let next = directions.compactMap(\.due).min() ?? .infinity
            let wait = min(max(0, next - Clock.seconds), 1)
            _ = culvert_wait(&entries, UInt32(entries.count), Int64(wait * 1e9))
            for (index, direction) in directions.enumerated() where entries[index].revents != 0 {
                direction.receive(at: Clock.seconds, limit: Self.batch)
            }
            for direction in directions { direction.deliver(at: Clock.seconds + Self.tolerance) }
        }
    }
}
