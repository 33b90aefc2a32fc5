import Foundation
import Synchronization
import TestSupport
import Testing

extension EndToEnd {
    /// The age of the datagrams that `-L …/udp` delivers, on a path that is slower than its senders.
    @Suite(.serialized)
    struct ForwardDatagramAgeTests {
        /// 10 Mbit/s.
        private static let bytesPerSecond = 1_250_000
        private static let bytes = 1_200
        /// What may wait for the carrier, 250 ms, and 100 ms for the path itself.
        private static let oldest = Duration.milliseconds(350)
        /// The share of datagrams to which the bounds apply. The other tests of a run take the processor for a while.
        private static var share: Double { TestRun.isHeavy ? 1 : 0.95 }

        // Ages are times.
        @Test(
            "At twice the carrier's rate, what arrives is at most 350 ms old, and memory stays level",
            .enabled(if: TestRun.isSlow, "it measures times: CULVERT_SLOW=1"),
            arguments: [false, true]
        )
        func overload(_ isReply: Bool) async throws {
            try await Scenario.run { scenario in
                let (near, far) = (try UDPSocket(timeout: .seconds(2)), try UDPSocket(timeout: .seconds(2)))
                let path = try await Path(to: far.port, in: scenario)
                let interval = Duration.seconds(Double(Self.bytes) / Double(2 * Self.bytesPerSecond))
                if isReply { try near.send([0], to: path.port) }
                let flow = isReply ? try await onThread { try far.receive().port } : path.port
                let datagrams = TimedDatagrams(
                    from: isReply ? far : near,
                    through: flow,
                    to: isReply ? near : far,
                    bytes: Self.bytes,
                    each: interval
                )
                try await eventually("a part has been sent") { datagrams.sent > 3_000 }
                let memory = try path.processes.map { try $0.residentBytes }
                try await eventually("all have been sent", within: .seconds(60)) {
                    datagrams.sent > (TestRun.isHeavy ? 60_000 : 8_000)
                }
                for (process, before) in zip(path.processes, memory) {
                    let growth = try process.residentBytes - before
                    #expect(growth < 4 << 20, "\(process.name) has grown by \(growth >> 10) KiB")
                }
                let arrivals = try await datagrams.finish()
                let share = Double(arrivals.count) / Double(datagrams.sent)
                #expect(share > 0.3 && share < 0.9, "\(share) of them arrive")
                let oldest = arrivals.age(of: Self.share)
                #expect(oldest < Self.oldest, "the oldest is \(oldest), the median \(arrivals.age(of: 0.5))")
            }
        }

        @Test(
            "Beside a bulk stream, a datagram each 20 ms arrives within 150 ms, and none is lost",
            .enabled(if: TestRun.isSlow, "it measures times: CULVERT_SLOW=1")
        )
        func besideBulk() async throws {
            try await Scenario.run { scenario in
                let service = try UDPSocket(timeout: .seconds(2))
                let path = try await Path(to: service.port, in: scenario)
                let (bulk, datagrams) = try await Self.begin(on: path, to: service)
                try await eventually("some have been sent") { datagrams.sent == 250 }
                let before = bulk.sent
                let arrivals = try await datagrams.finish()
                #expect(
                    Double(arrivals.count) >= Double(datagrams.sent) * Self.share,
                    "\(arrivals.count) of \(datagrams.sent)"
                )
                #expect(bulk.sent > before, "the bulk stream goes on")
                let oldest = arrivals.age(of: Self.share)
                #expect(oldest < .milliseconds(150), "the oldest is \(oldest), the median \(arrivals.age(of: 0.5))")
                bulk.stop()
            }
        }

        @Test(
            "Behind a cut, datagrams do not wait for the bulk bytes that are sent again",
            .enabled(if: TestRun.isSlow, "it measures times: CULVERT_SLOW=1")
        )
        func besideRepetition() async throws {
            try await Scenario.run { scenario in
                let service = try UDPSocket(timeout: .seconds(2))
                let path = try await Path(to: service.port, hasCuts: true, in: scenario)
                let (bulk, datagrams) = try await Self.begin(on: path, to: service)
                for round in 0..<3 {
                    path.relay?.cut(.reset)
                    _ = try await path.client.logLine(skip: round) { $0.contains("session resumed") }
                    let resumed = datagrams.sent
                    try await eventually("some have been sent") { datagrams.sent > resumed + 50 }
                }
                let arrivals = try await datagrams.finish()
                // What is sent while there is no carrier is dropped.
                #expect(arrivals.count > datagrams.sent / 2, "\(arrivals.count) of \(datagrams.sent) arrive")
                let oldest = arrivals.age(of: Self.share)
                #expect(oldest < Self.oldest, "the oldest is \(oldest), the median \(arrivals.age(of: 0.5))")
                bulk.stop()
            }
        }

        /// Fills a path with a bulk stream, and then sends a datagram each 20 ms beside it.
        private static func begin(
            on path: Path,
            to service: UDPSocket
        ) async throws -> (bulk: BulkStream, datagrams: TimedDatagrams) {
            let bulk = try BulkStream(through: path.bulkPort)
            try await eventually("the bulk stream fills the path") { bulk.sent > 2 * bytesPerSecond }
            let datagrams = TimedDatagrams(
                from: try UDPSocket(),
                through: path.port,
                to: service,
                bytes: bytes,
                each: .milliseconds(20)
            )
            return (bulk, datagrams)
        }

        /// A server and a client whose carrier has ``bytesPerSecond``, with a UDP port, and a port for bulk streams.
        private struct Path: Sendable {
            let processes: [ChildProcess]
            /// Cuts the carrier between its narrowest place and the server.
            let relay: FaultRelay?
            let port: UInt16
            let bulkPort: UInt16

            var client: ChildProcess { processes[1] }

            init(to service: UInt16, hasCuts: Bool = false, in scenario: Scenario) async throws {
                let sink = try TCPService { socket in while try !socket.receive().isEmpty {} }
                let (datagrams, bulk) = ("127.0.0.1:\(service)", "127.0.0.1:\(sink.port)")
                let server = try await scenario.server(allowing: [datagrams, bulk])
                relay = try hasCuts ? FaultRelay(to: server.port) : nil
                let narrow = try RateRelay(to: relay?.port ?? server.port, bytesPerSecond: bytesPerSecond)
                let client = try scenario.client(
                    "ws://127.0.0.1:\(narrow.port)",
                    [],
                    options: ["-L", "0:\(datagrams)/udp", "-L", "0:\(bulk)"]
                )
                processes = [server.process, client.process]
                bulkPort = try await client.forward(to: bulk)
                port = try await client.datagramPort(to: datagrams)
            }
        }
    }
}

/// Sends bytes as fast as the path takes them.
private final class BulkStream: Sendable {
    private let socket: TCPSocket
    private let count = Atomic(0)

    init(through port: UInt16) throws {
        socket = try TCPSocket(port: port)
        Thread.detachNewThread { [self] in
            let bytes = randomBytes(65_536)
            while (try? socket.send(bytes)) != nil { count.add(bytes.count, ordering: .relaxed) }
        }
    }

    /// Bytes that the path has taken.
    var sent: Int { count.load(ordering: .relaxed) }

    func stop() {
        socket.cut()
    }
}
