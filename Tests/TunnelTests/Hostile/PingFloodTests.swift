import TestSupport
import Testing
import WebSocket

extension HostileTests {
    /// Floods of WebSocket pings and pongs.
    @Suite(.serialized)
    struct PingFloodTests {
        @Test("W27 the 21st WebSocket ping in 10 s ends the connection with 1008", arguments: [false, true])
        func flood(isAuthenticated: Bool) async throws {
            try await RunningServer.with { server in
                let end = try await onThread {
                    let peer =
                        isAuthenticated ? try WirePeer.session(server.port, .alice) : try WirePeer.dial(server.port)
                    try peer.socket.send((0..<500).flatMap { _ in peer.webSocketFrame(9, [1, 2, 3]) })
                    let (code, _, pongs) = try peer.readToEnd()
                    return (code: code, pongs: pongs)
                }
                #expect(end.code == .policyViolation)
                #expect(end.pongs <= 21)
            }
        }

        @Test("W29 the 21st unsolicited WebSocket pong in 10 s ends the connection", arguments: [20, 21])
        func pongFlood(count: Int) async throws {
            try await RunningServer.with { server in
                try await onThread {
                    let peer = try WirePeer.session(server.port, .alice)
                    try peer.socket.send((0..<count).flatMap { _ in peer.webSocketFrame(10, [1, 2, 3]) })
                    guard count == 20 else {
                        try require(try peer.readToEnd().code == .policyViolation, "the flood is processed")
                        return
                    }
                    try require(try peer.bind(FreePorts.next()) == nil, "twenty pongs ended the session")
                }
            }
        }

        @Test(
            "W27 twenty WebSocket pings at once are all answered, and the connection continues",
            arguments: [false, true]
        )
        func allowedPings(isAuthenticated: Bool) async throws {
            try await RunningServer.with { server in
                try await onThread {
                    let peer =
                        isAuthenticated ? try WirePeer.session(server.port, .alice) : try WirePeer.dial(server.port)
                    try peer.socket.send((0..<20).flatMap { _ in peer.webSocketFrame(9, [1, 2, 3]) })
                    var pongs = 0
                    while pongs < 20 {
                        switch try peer.next() {
                        case .pong: pongs += 1
                        case .frame: continue
                        case let other: throw ScenarioFailure(description: "\(other) after \(pongs) pongs")
                        }
                    }
                    guard isAuthenticated else { return }
                    let refusal = try peer.bind(FreePorts.next())
                    try require(refusal == nil, "the session cannot bind a port")
                }
            }
        }
    }
}
