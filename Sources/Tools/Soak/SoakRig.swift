import Foundation
import Synchronization
import TestSupport

/// The parts of the soak: a server, a relay with faults, a client, an echo service, and visitors.
final class SoakRig: Sendable {
    /// The resources of one role at rest.
    struct Sample: Sendable {
        let name: String
        let residentBytes: Int
        let descriptors: Int
        let threads: Int
        let streams: Int
    }

    private static let visitorsAtOnce = 12
    private static let roundTime = Duration.seconds(20)

    private let server: CulvertServer
    private let client: CulvertClient
    private let relay: FaultRelay
    private let port: UInt16
    private let configuration: String
    private let scenario: Scenario
    private let counts = Mutex((visitors: 0, bytes: 0, cuts: 0, reloads: 0))

    /// The numbers of served visitors, echoed bytes, cuts and reloads.
    var totals: (visitors: Int, bytes: Int, cuts: Int, reloads: Int) { counts.withLock { $0 } }

    init(_ scenario: Scenario) async throws {
        self.scenario = scenario
        configuration = "\(scenario.directory)/server.toml"
        try scenario.write(Self.text(round: 0), to: configuration)
        let echo = try TCPService.echo()
        server = try await scenario.server(
            options: [
                "--config", configuration, "--admin", "unix:\(scenario.directory)/server.sock", "--log-level",
                "warning",
            ]
        )
        relay = try FaultRelay(to: server.port)
        client = try scenario.client(
            "ws://127.0.0.1:\(relay.port)",
            ["0:127.0.0.1:\(echo.port)"],
            options: [
                "--admin", "unix:\(scenario.directory)/client.sock", "--log-level", "error", "--encryption", "required",
            ]
        )
        port = try await client.tunnel(to: echo.port)
    }

    private static func text(round: Int) -> String {
        "visitor_connections = \(1_000 + round % 7)\n[limits]\ngrace = \"\(100 + round % 11) s\"\n"
    }

    // MARK: A round

    /// Runs visitors while the path is cut and the configuration is reloaded.
    func churn(_ round: Int) async throws {
        let end = ContinuousClock.now + Self.roundTime
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<Self.visitorsAtOnce {
                group.addTask {
                    var number = index
                    while ContinuousClock.now < end {
                        let kind = number % 4
                        let bytes = try await onThread { [port = self.port] in try Self.runVisitor(port, kind) }
                        self.counts.withLock { counts in
                            counts.visitors += 1
                            counts.bytes += bytes
                        }
                        number += 1
                        // Leaves time for other work of the machine.
                        try await Task.sleep(for: .milliseconds(20))
                    }
                }
            }
            group.addTask {
                var cut = round
                while ContinuousClock.now < end {
                    try await Task.sleep(for: .seconds(3))
                    self.relay.cut(FaultRelay.Cut.allCases[cut % FaultRelay.Cut.allCases.count])
                    if cut % 2 == 0 { try self.renew() }
                    self.counts.withLock { $0.cuts += 1 }
                    cut += 1
                }
            }
            group.addTask {
                try self.scenario.write(Self.text(round: round), to: self.configuration)
                self.server.process.signal(SIGHUP)
                self.counts.withLock { $0.reloads += 1 }
            }
            try await group.waitForAll()
        }
    }

    /// Makes the client dial another carrier.
    private func renew() throws {
        _ = try scenario.culvert("renew", ["renew", "--admin", "unix:\(scenario.directory)/client.sock"])
    }

    /// Runs one visitor: a request, a bulk transfer, a half-close, or a reset in the middle.
    private static func runVisitor(_ port: UInt16, _ kind: Int) throws -> Int {
        let socket = try TCPSocket(port: port, timeout: .seconds(60))
        switch kind {
        case 0:
            try socket.send("ping")
            let answer = try socket.receive(exactly: 4)
            try require(answer == Array("ping".utf8), "an echo of \(answer)")
            socket.close()
            return 4
        case 1, 2:
            let bytes = randomBytes(kind == 1 ? 200_000 : 20_000)
            let sending = DispatchSemaphore(value: 0)
            Thread.detachNewThread {
                try? socket.send(bytes)
                try? socket.finishSending()
                sending.signal()
            }
            let answer = try socket.receiveToEnd()
            sending.wait()
            try require(answer == bytes, "\(answer.count) echoed bytes, expected the \(bytes.count) sent bytes")
            socket.close()
            return bytes.count
        default:
            try socket.send(randomBytes(5_000))
            _ = try socket.receive(exactly: 1)
            socket.abort()
            return 1
        }
    }

    // MARK: Rest

    /// Waits until no visitor is left, and records the resources of both roles.
    func samplesAtRest() async throws -> [Sample] {
        var samples: [Sample] = []
        for (name, process) in [("server", server.process), ("client", client.process)] {
            let socket = "\(scenario.directory)/\(name).sock"
            try await eventually("no stream is left at the \(name)", within: .seconds(60)) {
                try Self.metric("culvert_streams", socket) == 0 && Self.metric("culvert_carriers", socket) == 1
            }
            // The last connections close with a delay.
            let descriptors = try await eventually("descriptors settle", within: .seconds(30)) { () -> Int? in
                let (one, other) = (try process.descriptorCount, try process.descriptorCount)
                return one == other ? one : nil
            }
            samples.append(
                Sample(
                    name: name,
                    residentBytes: try process.residentBytes,
                    descriptors: descriptors,
                    threads: try process.threadCount,
                    streams: try Self.metric("culvert_streams", socket)
                )
            )
        }
        return samples
    }

    private static func metric(_ name: String, _ socket: String) throws -> Int {
        let answer = try TCPSocket(unixPath: socket).request("GET", "/metrics")
        guard let line = answer.body.split(separator: "\n").first(where: { $0.hasPrefix("\(name) ") }),
            let value = line.split(separator: " ").last.flatMap({ Double($0) })
        else { throw ScenarioFailure(description: "no \(name) in the metrics") }
        return Int(value)
    }
}
