import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// What the server's operator learns of a service.
    @Suite(.serialized)
    struct ServiceHealthTests {
        /// Waits until a role reports the state of its one tunnel's service.
        private func expectService(isUp: Bool, at socket: String) async throws {
            try await eventually("the service is \(isUp ? "up" : "down")") {
                let body = try TCPSocket(unixPath: socket).request("GET", "/status").body
                return body.replacing(" ", with: "").contains("\"is_service_up\":\(isUp)")
            }
        }

        @Test("A service that does not answer is shown at both ends, and a visitor that it answers ends that")
        func health() async throws {
            try await Scenario.run { scenario in
                let port = try FreePorts.next()
                let sockets = ["server", "client"].map { "\(scenario.directory)/\($0).sock" }
                let server = try await scenario.server(options: ["--admin", "unix:\(sockets[0])"])
                let client = try scenario.client(
                    server.url,
                    ["0:127.0.0.1:\(port)"],
                    options: ["--admin", "unix:\(sockets[1])"]
                )
                let tunnel = try await client.tunnel(to: port)
                try await expectReset(at: tunnel)
                for socket in sockets {
                    try await expectService(isUp: false, at: socket)
                    let process = try scenario.culvert("status", ["status", "--admin", "unix:\(socket)"])
                    #expect(try await process.exitStatus() == .exited(0))
                    expect(process.output.text, says: "(service down: service refused the connection)")
                }
                let echo = try TCPService.echo(port: port)
                try await expectEcho(through: tunnel)
                #expect(echo.accepted == 1)
                for socket in sockets { try await expectService(isUp: true, at: socket) }
            }
        }

        @Test("A UDP service is down once it refuses a datagram, and up once it answers one")
        func datagrams() async throws {
            try await Scenario.run { scenario in
                let port = try FreePorts.next()
                let admin = "\(scenario.directory)/client.sock"
                let path = try await scenario.datagrams(to: port, .remote, options: ["--admin", "unix:\(admin)"])
                let program = try UDPSocket()
                try program.send([1], to: path.port)
                try await expectService(isUp: false, at: admin)
                let service = try UDPSocket(port: port)
                try program.send([2], to: path.port)
                try await onThread {
                    let asked = try service.receive()
                    try service.send(asked.bytes, to: asked.port)
                    _ = try program.receive()
                }
                try await expectService(isUp: true, at: admin)
            }
        }
    }
}
