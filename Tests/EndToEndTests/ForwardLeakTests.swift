import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// The descriptors of both ends after many connections of forwards.
    @Suite(.serialized)
    struct ForwardLeakTests {
        @Test("Finished, reset, refused and denied connections of forwards leak no descriptor")
        func manyConnections() async throws {
            let count = TestRun.isHeavy ? 4_000 : 800
            try await Scenario.run { scenario in
                let service = try TCPService.answerAfterEnd()
                let (denied, unused) = (try FreePorts.next(), try FreePorts.next())
                let configuration = "\(scenario.directory)/server.toml"
                try scenario.write("[limits]\nforwards_per_second = 100000\n", to: configuration)
                let server = try await scenario.server(
                    allowing: ["127.0.0.1:\(service.port)", "127.0.0.1:\(unused)"],
                    options: ["--config", configuration]
                )
                let client = try scenario.client(
                    server.url,
                    [],
                    options: [service.port, denied, unused].flatMap { ["-L", "0:127.0.0.1:\($0)"] }
                )
                let port = try await client.forward(to: "127.0.0.1:\(service.port)")
                let resetPorts = [
                    try await client.forward(to: "127.0.0.1:\(denied)"),
                    try await client.forward(to: "127.0.0.1:\(unused)"),
                ]
                let exchange: @Sendable (Int) throws -> Void = { index in
                    if index % 4 < 2 {
                        let ending = try TCPSocket(port: resetPorts[index % 4]).drain().ending
                        return try require(ending == .reset, "connection \(index): \(ending)")
                    }
                    let request = randomBytes(index % 7 == 0 ? 20_000 + index : index % 700)
                    let program = try TCPSocket(port: port)
                    try program.send(request)
                    if index % 8 == 2 { return program.abort() }
                    try program.finishSending()
                    let response = try program.receiveToEnd()
                    let isEqual = response == Array("\(request.count)\n".utf8) + request
                    try require(isEqual, "connection \(index): \(response.count) bytes for \(request.count)")
                }
                // Opens the descriptors that both processes keep, before the count.
                try await onThreads(32, width: 16, exchange)
                let processes = [server.process, client.process]
                let before = try await settledDescriptors(processes)
                try await onThreads(count, width: 16, exchange)
                try await eventually(
                    "both processes have as many descriptors as before",
                    found: { "\(before) before, now \(descriptors(processes))" }
                ) {
                    zip(descriptors(processes), before).allSatisfy { $0 <= $1 }
                }
                #expect(client.process.output.lines.count == 3, "the ports stayed bound")
                await client.process.end()
                #expect(client.process.errors.lines.count { $0.contains("session opened") } == 1)
            }
        }
    }
}
