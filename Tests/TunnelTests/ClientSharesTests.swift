import NetworkAddress
import TestSupport
import Testing

@testable import Mux
@testable import TunnelServer

@Suite("Shares of clients")
struct ClientSharesTests {
    @Test("A single client may use everything; of two clients each has half, once half is used")
    func shares() {
        let shares = ClientShares()
        _ = shares.join([1])
        #expect(!shares.isExhausted(99, used: 99, capacity: 100))
        _ = shares.join([1])
        #expect(!shares.isExhausted(99, used: 99, capacity: 100), "two sessions of one client count as one")
        _ = shares.join([2])
        #expect(!shares.isExhausted(49, used: 49, capacity: 100))
        #expect(!shares.isExhausted(49, used: 50, capacity: 100))
        #expect(shares.isExhausted(50, used: 50, capacity: 100))
        #expect(!shares.isExhausted(0, used: 99, capacity: 100), "the other client has its share")
        #expect(!shares.isExhausted(0, used: 1, capacity: 1), "each share is at least one")
        shares.leave([1])
        #expect(shares.count == 2)
        shares.leave([1])
        #expect(shares.count == 1 && !shares.isExhausted(99, used: 99, capacity: 100))
        shares.leave([1])
        shares.leave([2])
        #expect(shares.count == 0)
    }
}

extension HostileTests {
    /// The shares of clients in the server's ports.
    @Suite(.serialized)
    struct ShareTests {
        @Test("The ports of one client are limited over all its sessions")
        func portsPerClient() async throws {
            try await RunningServer.with({ $0.serverLimits.portsPerClient = 3 }) { server in
                try await onThread {
                    let one = try WirePeer.session(server.port, .alice)
                    let two = try WirePeer.session(server.port, .alice, instance: 2)
                    for tunnel in UInt16(0)..<2 { try require(try one.bind(0, tunnel: tunnel) == nil, "refused early") }
                    try require(try two.bind(0) == nil, "refused early")
                    for peer in [one, two] {
                        let refusal = try peer.bind(0, tunnel: 9)
                        try require(refusal?.code == .limit, "\(refusal as Any)")
                    }
                    let bob = try WirePeer.session(server.port, .bob)
                    try require(try bob.bind(0) == nil, "another client was refused")
                }
            }
        }

        @Test("Beside another client, a client's share is half of the ports")
        func shareOfPorts() async throws {
            let ports = try (0..<8).map { _ in try FreePorts.next() }
            let ranges = ports.map { $0...$0 }
            try await RunningServer.with({ $0.allowedPorts = PortRanges(ranges: ranges) }) { server in
                try await onThread {
                    let alice = try WirePeer.session(server.port, .alice)
                    let bob = try WirePeer.session(server.port, .bob)
                    for tunnel in UInt16(0)..<4 {
                        try require(try alice.bind(ports[Int(tunnel)], tunnel: tunnel) == nil, "tunnel \(tunnel)")
                    }
                    let refusal = try alice.bind(ports[4], tunnel: 4)
                    try require(refusal?.code == .busy && refusal?.retryAfter != nil, "\(refusal as Any)")
                    for tunnel in UInt16(4)..<8 {
                        try require(try bob.bind(ports[Int(tunnel)], tunnel: tunnel) == nil, "tunnel \(tunnel)")
                    }
                }
            }
        }

        @Test("Clients with their own port ranges have all of them")
        func portsOfTheirOwn() async throws {
            let ports = try (0..<4).map { _ in try FreePorts.next() }
            try await RunningServer.with({
                $0.clients[0].allowedPorts = PortRanges(ranges: [ports[0]...ports[0], ports[1]...ports[1]])
                $0.clients[1].allowedPorts = PortRanges(ranges: [ports[2]...ports[2], ports[3]...ports[3]])
            }) { server in
                try await onThread {
                    let (alice, bob) = (
                        try WirePeer.session(server.port, .alice), try WirePeer.session(server.port, .bob)
                    )
                    for tunnel in UInt16(0)..<2 {
                        try require(try alice.bind(ports[Int(tunnel)], tunnel: tunnel) == nil, "Alice \(tunnel)")
                        try require(try bob.bind(ports[Int(tunnel) + 2], tunnel: tunnel) == nil, "Bob \(tunnel)")
                    }
                }
            }
        }

        @Test(
            "Log lines of refused ports and ended streams are limited, and the next line has the number of omitted ones"
        )
        func logLines() async throws {
            try await RunningServer.with({
                $0.serverLimits.logLines = 5
                $0.serverLimits.visitorLogLines = 10
            }) { server in
                try await onThread {
                    let peer = try WirePeer.session(server.port, .alice)
                    for tunnel in UInt16(0)..<100 { try require(try peer.bind(80, tunnel: tunnel) != nil, "bound") }
                    try require(server.log.count("port refused") == 5, "\(server.log.count("port refused")) lines")
                    let port = try FreePorts.next()
                    try require(try peer.bind(port, tunnel: 200) == nil, "refused")
                    for _ in 0..<50 {
                        let visitor = try TCPSocket(port: port)
                        let stream = try peer.frame(.open).header.stream
                        try peer.send(ResetCode.refused.frame(stream, after: .max))
                        _ = try visitor.drain()
                    }
                    let lines = server.log.count("stream ended")
                    try require(lines <= 10, "\(lines) lines")
                }
            }
        }
    }
}
