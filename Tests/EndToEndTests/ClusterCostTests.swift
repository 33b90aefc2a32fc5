import Foundation
import TestSupport
import Testing

/// What the way by another server costs, beside the same tunnel without it.
@Suite(
    "The cost of a visitor at another server",
    .serialized,
    .enabled(if: TestRun.isHeavy, "it measures the release executable on a quiet machine")
)
struct ClusterCostTests {
    /// Rounds of transfers.
    private static let rounds = 5
    /// Rounds of exchanges. They are short, and the ways take turns, so what the machine does beside meets both.
    private static let exchangeRounds = 20
    private static let size = 1 << 30
    private static let exchanges = 1_500

    /// The figures of one way.
    private struct Figures {
        var microseconds: [Double] = []
        var secondsPerGigabyte: [Double] = []
        var gigabytesPerSecond: [Double] = []
    }

    @Test("A visitor at another server has at most twice the latency, and costs at most twice the processor time")
    func hop() async throws {
        try await Scenario.run { scenario in
            let cluster = try await ClusterScenario.start(2, members: 1, in: scenario)
            let home = try await cluster.start(0)
            let service = try Self.service()
            defer { service.stop() }
            let client = try cluster.client(to: service.port, at: cluster.places[0].port)
            _ = try await client.tunnel(to: service.port)
            let entry = try await cluster.start(1)
            let processes = [home, entry, client.process]
            var figures = [Figures(), Figures()]
            for place in cluster.places { _ = try await Self.latency(at: place, cluster.port) }
            for _ in 0..<Self.exchangeRounds {
                for (number, place) in cluster.places.enumerated() {
                    figures[number].microseconds.append(try await Self.latency(at: place, cluster.port))
                }
            }
            for _ in 0..<Self.rounds {
                for (number, place) in cluster.places.enumerated() {
                    for command in ["d", "u"] {
                        let before = try processes.reduce(0) { try $0 + $1.processorSeconds }
                        let begin = ContinuousClock.now
                        try await Self.transfer(command, at: place, cluster.port)
                        let time = (ContinuousClock.now - begin) / .seconds(1)
                        let used = try processes.reduce(0) { try $0 + $1.processorSeconds } - before
                        figures[number].secondsPerGigabyte.append(used / (Double(Self.size) / 1e9))
                        figures[number].gigabytesPerSecond.append(Double(Self.size) / 1e9 / time)
                    }
                }
            }
            func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
            for (name, figures) in zip(["home", "other"], figures) {
                print(
                    "\(name): p50 \(median(figures.microseconds)) µs, \(median(figures.secondsPerGigabyte)) s/GB, ",
                    "\(median(figures.gigabytesPerSecond)) GB/s"
                )
            }
            let latency = median(figures[1].microseconds) / median(figures[0].microseconds)
            let cost = median(figures[1].secondsPerGigabyte) / median(figures[0].secondsPerGigabyte)
            print("latency \(latency), processor time \(cost)")
            #expect(latency <= 2)
            #expect(cost <= 2)
        }
    }

    /// Sends a gigabyte after `d`, reads one after `u`, and echoes 64 bytes after `e`, again and again.
    private static func service() throws -> TCPService {
        try TCPService { socket in
            let chunk = [UInt8](repeating: 7, count: 1 << 18)
            switch try socket.receive(exactly: 1) {
            case Array("d".utf8):
                for _ in 0..<(size / chunk.count) { try socket.send(chunk) }
            case Array("u".utf8):
                var left = size
                while left > 0 { left -= try socket.receive(upTo: 1 << 18).count }
                try socket.send("x")
            default:
                while true { try socket.send(try socket.receive(exactly: 64)) }
            }
        }
    }

    private static func transfer(_ command: String, at place: ClusterScenario.Place, _ port: UInt16) async throws {
        try await onThread {
            let visitor = try TCPSocket(port: port, address: place.address)
            try visitor.send(command)
            if command == "d" {
                var left = size
                while left > 0 { left -= try visitor.receive(upTo: 1 << 18).count }
            } else {
                let chunk = [UInt8](repeating: 7, count: 1 << 18)
                for _ in 0..<(size / chunk.count) { try visitor.send(chunk) }
                _ = try visitor.receive(exactly: 1)
            }
            visitor.close()
        }
    }

    /// The median of the time for 64 bytes and back, in microseconds.
    private static func latency(at place: ClusterScenario.Place, _ port: UInt16) async throws -> Double {
        try await onThread {
            let visitor = try TCPSocket(port: port, address: place.address)
            let message = [UInt8](repeating: 1, count: 64)
            try visitor.send("e")
            var times: [Double] = []
            for _ in 0..<exchanges {
                let begin = ContinuousClock.now
                try visitor.send(message)
                _ = try visitor.receive(exactly: 64)
                times.append((ContinuousClock.now - begin) / .microseconds(1))
            }
            visitor.close()
            return times.sorted()[exchanges / 2]
        }
    }
}
