import Foundation
import TestSupport
import Testing

/// Idle tunnels through fronts that cut idle connections. Each test takes more than a minute.
///
/// nginx is tested in ``TimeoutTests``, which always runs.
@Suite(
    "Default idle timeouts of fronts",
    .enabled(if: TestRun.isSlow, "longer than a minute: CULVERT_SLOW=1"),
    .timeLimit(.minutes(5))
)
struct FrontIdleTimeoutTests {
    @Test(
        "A front's default timeouts do not cut an idle tunnel",
        .needs(.openssl),
        arguments: FrontProgram.here.filter { $0 != .nginx }
    )
    func idle(_ program: FrontProgram) async throws {
        try await Scenario.run { scenario in
            let echo = try TCPService.echo()
            let server = try await scenario.server()
            let front = try await program.front(of: server.port, in: scenario)
            let client = try scenario.client(
                front.url,
                ["0:127.0.0.1:\(echo.port)"],
                options: ["--ca", front.authority]
            )
            let port = try await client.tunnel(to: echo.port)
            let visitor = try await onThread {
                let visitor = try TCPSocket(port: port)
                try visitor.send("before")
                _ = try visitor.receive(exactly: 6)
                return visitor
            }
            // The longest default timeout is 60 s, in httpd and nginx.
            try await Task.sleep(for: .seconds(70))
            let answer = try await onThread {
                try visitor.send("after")
                return String(decoding: try visitor.receive(exactly: 5), as: UTF8.self)
            }
            #expect(answer == "after")
            #expect(front.upgrades.isEmpty, "the only WebSocket is still open")
            #expect(client.process.output.lines.count == 1)
            visitor.close()
        }
    }
}
