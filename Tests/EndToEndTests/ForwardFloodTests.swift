import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// A UDP port of `-L` or `-R` that all addresses of a network flood.
    @Suite(.serialized)
    struct ForwardFloodTests {
        private static let senders = 100_000
        /// New senders in a second: more than a port takes.
        private static let sendersPerSecond = 4_000
        /// `flows_per_port`.
        private static let flows = 10_000

        // The flood takes its time, so that the limits on a second do not end it early.
        @Test(
            "S9 100,000 senders in 25 s leave both processes bounded, and an answered flow and a TCP stream working",
            .enabled(if: TestRun.isSlow, "half a minute: CULVERT_SLOW=1"),
            arguments: [(DatagramDirection.local, nil), (.local, 100_000), (.remote, nil)]
        )
        func flood(_ direction: DatagramDirection, _ forwardsPerSecond: Int?) async throws {
            try await Scenario.run { scenario in
                let (service, echo) = (try UDPSocket(timeout: .seconds(60)), try TCPService.echo())
                let (datagrams, bytes) = ("127.0.0.1:\(service.port)", "127.0.0.1:\(echo.port)")
                let file = "\(scenario.directory)/server.toml"
                try scenario.write(forwardsPerSecond.map { "[limits]\nforwards_per_second = \($0)\n" } ?? "", to: file)
                let server = try await scenario.server(allowing: [datagrams, bytes], options: ["--config", file])
                let client = try scenario.client(
                    server.url,
                    [],
                    options: [direction.rawValue, "0:\(datagrams)/udp", "-L", "0:\(bytes)"]
                )
                let port = try await client.datagramPort(to: datagrams)
                let stream = try TCPSocket(port: await client.forward(to: bytes))
                let program = try UDPSocket(timeout: .seconds(1))
                // Only the program's datagrams are answered, so the flows of all others have none.
                Thread.detachNewThread {
                    while let (bytes, _, source) = try? service.receive() {
                        if bytes.count > 1 { try? service.send(bytes, to: source) }
                    }
                }
                let processes = [server.process, client.process]
                let before = try processes.map { try $0.descriptorCount }
                let most = try await onThread {
                    var most = before
                    let start = ContinuousClock.now
                    for number in 0..<Self.senders {
                        let address = "127.\(1 + number / 62_500).\(number / 250 % 250).\(1 + number % 250)"
                        try UDPSocket(address: address).send([1], to: port)
                        guard number.isMultiple(of: 1_000) else { continue }
                        try stream.requireEcho("\(number)")
                        try Self.requireAnswer("\(number)", at: program, port)
                        most = try zip(most, processes).map { max($0, try $1.descriptorCount) }
                        let due = start + .seconds(Double(number) / Double(Self.sendersPerSecond))
                        let wait = ContinuousClock.now.duration(to: due) / .seconds(1)
                        if wait > 0 { Thread.sleep(forTimeInterval: wait) }
                    }
                    return most
                }
                // The end that listens has one socket for all flows, and the other one for each.
                let flows = direction == .local ? [Self.flows, 0] : [0, Self.flows]
                for (index, process) in processes.enumerated() {
                    let bound = before[index] + flows[index] + 50
                    #expect(most[index] <= bound, "\(most[index]) descriptors of \(process.name)")
                }
                for process in processes {
                    let peak = try process.peakResidentBytes
                    #expect(peak < 300 << 20, "\(process.name): \(peak >> 20) MiB")
                }
            }
        }

        /// Sends a text until it comes back, since the flood fills the buffers of sockets.
        private static func requireAnswer(_ text: String, at program: UDPSocket, _ port: UInt16) throws {
            let bytes = Array("answer \(text)".utf8)
            for _ in 0..<20 {
                try program.send(bytes, to: port)
                while let answer = try? program.receive() {
                    if answer.bytes == bytes { return }
                }
            }
            throw ScenarioFailure(description: "no answer to \(text)")
        }
    }
}
