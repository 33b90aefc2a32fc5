import NIOCore
import NetworkAddress
import TestSupport
import Testing

@testable import Mux
@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer

extension HostileTests {
    /// Public ports: rights, refusals, and exclusive ownership.
    @Suite(.serialized)
    struct PortTests {
        @Test("P1 ports below 1024 and outside the range are refused, and port 0 becomes one of the range")
        func ranges() async throws {
            let first = try FreePorts.next()
            try await RunningServer.with({ $0.allowedPorts = PortRanges(ranges: [first...first]) }) { server in
                try await onThread {
                    let peer = try WirePeer.session(server.port, .alice)
                    for (tunnel, port) in [UInt16(80), 1_023, first - 1, first + 1, .max].enumerated() {
                        let refusal = try peer.bind(port, tunnel: UInt16(tunnel))
                        try require(refusal?.code == .portNotAllowed, "\(port): \(refusal as Any)")
                        try require(refusal?.text.contains("allowed: \(first)") == true, "\(refusal as Any)")
                    }
                    try peer.send(WirePeer.bindRequest(0, tunnel: 9))
                    let port = try Binding(peer.frame(.bound, .unbound).payload).port
                    try require(port == first, "port \(port)")
                }
            }
        }

        @Test(
            "P1 P7 the server's own port and another program's are refused as in use, and the session continues"
        )
        func inUse() async throws {
            let taken = try TCPService.echo()
            try await RunningServer.with { server in
                try await onThread {
                    let tunnel = try ManualTunnel(server.port, .alice)
                    for (number, port) in [server.port, taken.port].enumerated() {
                        let refusal = try tunnel.peer.bind(port, tunnel: UInt16(number + 1))
                        try require(refusal?.code == .portInUse, "\(port): \(refusal as Any)")
                        let user =
                            number == 0 ? "culvert server itself, as its endpoint" : "another program on the server"
                        let text = "port \(port) of 127.0.0.1 is in use by \(user)"
                        try require(refusal?.text == text, "\(refusal as Any)")
                    }
                    let own = try FreePorts.next()
                    try require(try tunnel.peer.bind(own, tunnel: 3) == nil, "a further port was refused")
                    let text = try tunnel.peer.bind(own, tunnel: 4)?.text
                    let says = "port \(own) of 127.0.0.1 is in use by another tunnel of this session"
                    try require(text == says, "\(text as Any)")
                    try tunnel.requireBothDirections()
                }
            }
        }

        @Test("P7 the refusal names an address that the server does not have")
        func missingAddress() async throws {
            try await RunningServer.with({ $0.publicAddress = nil }) { server in
                try await onThread {
                    let peer = try WirePeer.session(server.port, .alice)
                    try peer.send(BindRequest(tunnel: 0, address: "192.0.2.1", port: FreePorts.next()).frame)
                    let refusal = try Refusal(peer.frame(.unbound, .bound).payload, of: .unbound)
                    try require(refusal.code == .bindFailed, "\(refusal)")
                    try require(refusal.text == "the server does not have the address 192.0.2.1", "\(refusal)")
                }
            }
        }

        @Test("P2 A22 a client's ports are refused to others, even if they ask first")
        func grants() async throws {
            let (own, others) = (try FreePorts.next(), try FreePorts.next())
            try await RunningServer.with({ configuration in
                configuration.clients[0].allowedPorts = PortRanges(ranges: [own...own])
                configuration.clients[1].allowedPorts = PortRanges(ranges: [others...others])
            }) { server in
                try await onThread {
                    let (alice, bob) = (
                        try WirePeer.session(server.port, .alice), try WirePeer.session(server.port, .bob)
                    )
                    try require(try bob.bind(own)?.code == .portNotAllowed, "Bob has Alice's port")
                    try require(try alice.bind(others)?.code == .portNotAllowed, "Alice has Bob's port")
                    try require(try bob.bind(others, tunnel: 1) == nil, "Bob's own port was refused")
                    try require(try alice.bind(own, tunnel: 1) == nil, "Alice's own port was refused")
                }
            }
        }

        @Test("A11 a right that a reload removes is denied at the next request of an existing session")
        func reloadedRights() async throws {
            let (kept, lost) = (try FreePorts.next(), try FreePorts.next())
            try await RunningServer.with { server in
                let peer = try await onThread {
                    let peer = try WirePeer.session(server.port, .alice)
                    try require(try peer.bind(kept) == nil, "refused before the reload")
                    return NonSendable(peer)
                }
                server.reload { $0.clients[0].allowedPorts = PortRanges(ranges: [kept...kept]) }
                try await eventually("the configuration is reloaded") { server.log.count("reloaded") == 1 }
                try await onThread {
                    try require(
                        try peer.value.bind(lost, tunnel: 1)?.code == .portNotAllowed,
                        "a removed right was granted"
                    )
                }
            }
        }

        @Test("A11 a reload that narrows a client's rights closes its port with a reason, and its streams continue")
        func narrowedRights() async throws {
            let (kept, lost) = (try FreePorts.next(), try FreePorts.next())
            try await RunningServer.with { server in
                let session = try await onThread {
                    let peer = try WirePeer.session(server.port, .alice)
                    try require(try peer.bind(kept) == nil && peer.bind(lost, tunnel: 1) == nil, "refused at first")
                    let visitor = try TCPSocket(port: lost)
                    let stream = try peer.frame(.open).header.stream
                    try peer.send(OutboundFrame(.accept, stream))
                    return NonSendable((peer: peer, visitor: visitor, stream: stream))
                }
                server.reload { $0.clients[0].allowedPorts = PortRanges(ranges: [kept...kept]) }
                try await onThread {
                    let (peer, visitor, stream) = session.value
                    let refusal = try Refusal(peer.frame(.unbound).payload, of: .unbound)
                    try require(refusal.code == .portNotAllowed, "\(refusal)")
                    try visitor.send("still here")
                    let data = try peer.frame(.data)
                    try require(data.header.stream == stream, "\(data.header)")
                    try require((try? TCPSocket(port: lost)) == nil, "the port is open")
                    let other = try TCPSocket(port: kept)
                    _ = try peer.frame(.open)
                    other.close()
                    try require(server.log.count("port closed") == 1, "the log has no line")
                    // The port is free for another client.
                    let bob = try WirePeer.session(server.port, .bob)
                    try require(try bob.bind(lost) == nil, "the port is still held")
                }
            }
        }

        @Test("A20 a reload without a client ends its session with a reason, and its ports are free at once")
        func removedClient() async throws {
            let port = try FreePorts.next()
            try await RunningServer.with { server in
                let peer = try await onThread {
                    let peer = try WirePeer.session(server.port, .alice)
                    try require(try peer.bind(port) == nil, "refused before the reload")
                    return NonSendable(peer)
                }
                server.reload { $0.clients.removeFirst() }
                try await onThread {
                    let (_, frames, _) = try peer.value.readToEnd()
                    let reason = try frames.last.map { try Refusal($0.payload, of: .goAway) }
                    try require(reason?.text == "the operator has removed this client's token", "\(reason as Any)")
                    let bob = try WirePeer.session(server.port, .bob)
                    while let refusal = try bob.bind(port) {
                        try require(refusal.code == .portInUse, "\(refusal)")
                        pause()
                    }
                    let again = try WirePeer.dial(server.port)
                    try again.send(again.authentication(.alice).frame)
                    try require(try again.frame(.welcome, .refused).header.type == .refused, "Alice was accepted")
                }
            }
        }

        @Test(
            "P3 P6 two clients bind 40 ports at the same time: exactly one gets each port and all its visitors"
        )
        func race() async throws {
            try await RunningServer.with({ ($0.limits.tunnels, $0.limits.pingsInTenSeconds) = (40, 100) }) { server in
                let ports = try (0..<40).map { _ in try FreePorts.next() }
                let gate = Gate()
                async let first = Self.claim(ports, server, .alice, gate)
                async let second = Self.claim(ports, server, .bob, gate)
                gate.open()
                let (alice, bob) = try await (first, second)
                #expect(zip(alice.value.answers, bob.value.answers).allSatisfy { $0 != $1 })
                try await onThread {
                    for (index, port) in ports.enumerated() {
                        let (owner, other) = alice.value.answers[index] ? (alice, bob) : (bob, alice)
                        let visitors = try (0..<3).map { _ in try TCPSocket(port: port) }
                        for _ in visitors { _ = try owner.value.peer.frame(.open) }
                        try other.value.peer.send(.ping(9))
                        let frame = try other.value.peer.frame(.open, .pong)
                        try require(frame.header.type == .pong, "both have visitors of port \(port)")
                    }
                }
            }
        }

        private static func claim(
            _ ports: [UInt16],
            _ server: RunningServer,
            _ identity: Identity,
            _ gate: Gate
        ) async throws -> NonSendable<(peer: WirePeer, answers: [Bool])> {
            try await onThread {
                let peer = try WirePeer.session(server.port, identity)
                gate.wait()
                let requests = ports.enumerated().map { WirePeer.bindRequest($1, tunnel: UInt16($0)) }
                try peer.socket.send(requests.flatMap { try peer.encode($0) })
                var answers = [Bool](repeating: false, count: ports.count)
                for _ in ports {
                    let frame = try peer.frame(.bound, .unbound)
                    if frame.header.type == .bound {
                        answers[Int(try Binding(frame.payload).tunnel)] = true
                    } else {
                        let refusal = try Refusal(frame.payload, of: .unbound)
                        try require(refusal.code == .portInUse, "\(refusal)")
                    }
                }
                return NonSendable((peer, answers))
            }
        }

        @Test("P4 P5 a port of a disconnected client is kept: another client is refused, and the owner gets it at once")
        func kept() async throws {
            try await RunningServer.with({ $0.limits.grace = .seconds(120) }) { server in
                try await onThread {
                    let tunnel = try ManualTunnel(server.port, .alice)
                    tunnel.peer.socket.abort()
                    let bob = try WirePeer.session(server.port, .bob)
                    var refusal = try bob.bind(tunnel.port)
                    // The server may notice the end later.
                    while refusal?.text.contains("is held by") == true {
                        pause()
                        refusal = try bob.bind(tunnel.port)
                    }
                    try require(
                        refusal?.text.contains("is kept for alice, which was cut off") == true,
                        "\(refusal as Any)"
                    )
                    let alice = try WirePeer.session(server.port, .alice)
                    try require(try alice.bind(tunnel.port) == nil, "the owner's bind was refused")
                    // The old session cannot be resumed.
                    try require(try tunnel.visitor.drain().ending == .reset, "the visitor was not reset")
                }
            }
        }

        @Test("P8 a port is bound again despite connections in TIME_WAIT, and no other program can share it")
        func timeWait() async throws {
            try await RunningServer.with { server in
                try await onThread {
                    let tunnel = try ManualTunnel(server.port, .alice)
                    // The server closes first, so its end stays in TIME_WAIT.
                    try tunnel.peer.send(OutboundFrame(.end, tunnel.stream))
                    try require(try tunnel.visitor.receiveToEnd().isEmpty, "unexpected bytes")
                    try tunnel.visitor.finishSending()
                    _ = try tunnel.peer.frame(.end)
                    let shared = try? TCPService.listening(on: tunnel.port, sharing: true)
                    try require(shared == nil, "another socket has the same port")
                    try tunnel.peer.socket.send(tunnel.peer.webSocketFrame(8, [3, 232]))
                    _ = try tunnel.peer.readToEnd()
                    let again = try WirePeer.session(server.port, .alice)
                    try require(try again.bind(tunnel.port) == nil, "TIME_WAIT keeps the port")
                }
            }
        }

        @Test("P9 if the port is taken in one address family, both are refused, and the line names the address")
        func oneFamilyTaken() async throws {
            guard TCPService.hasIPv6 else { return }
            for (taken, address) in [("0.0.0.0", "0.0.0.0"), ("::1", "::")] {
                try await RunningServer.with({ $0.publicAddress = nil }) { server in
                    try await onThread {
                        let port = try FreePorts.next()
                        let other = try TCPService.listening(on: port, address: taken)
                        let peer = try WirePeer.session(server.port, .alice)
                        try peer.send(BindRequest(tunnel: 0, address: "", port: port).frame)
                        let refusal = try Refusal(peer.frame(.unbound, .bound).payload, of: .unbound)
                        let text = "port \(port) of \(address) is in use by another program on the server"
                        try require(refusal.text == text && refusal.code == .portInUse, "\(refusal)")
                        // The port of the other family is released as well.
                        other.stop()
                        try peer.send(BindRequest(tunnel: 0, address: "", port: port).frame)
                        let binding = try Binding(peer.frame(.bound, .unbound).payload)
                        try require(binding.address == "0.0.0.0 ::", "\(binding)")
                    }
                }
            }
        }

        @Test("P9 P10 the bound addresses are reported to the client and in the log, with their reachability")
        func boundAddresses() async throws {
            let rows = [("127.0.0.1", "127.0.0.1"), ("", "0.0.0.0 ::"), ("localhost", "127.0.0.1 ::1"), ("::1", "::1")]
            guard TCPService.hasIPv6 else { return }
            let configure: (inout ServerConfiguration) -> Void = {
                $0.publicAddress = nil
                for index in $0.clients.indices { $0.clients[index].allowsLoopback = true }
                $0.visitors.deny = VisitorLimits.blocks("192.0.2.0/24") ?? []
            }
            try await RunningServer.with(configure) { server in
                try await onThread {
                    let peer = try WirePeer.session(server.port, .alice)
                    for (tunnel, (asked, bound)) in rows.enumerated() {
                        let port = try FreePorts.next()
                        try peer.send(BindRequest(tunnel: UInt16(tunnel), address: asked, port: port).frame)
                        let binding = try Binding(peer.frame(.bound, .unbound).payload)
                        try require(binding.address == bound && binding.port == port, "\(binding)")
                        let line = "port is public address=\(bound) client=alice peer="
                        try require(server.log.count(line) == 1, "no line: \(line)")
                    }
                    try require(server.log.count("visitors=all except 192.0.2.0/24") == rows.count, "no visitors")
                }
            }
        }

        @Test(
            "P9 the URL of a tunnel has a reachable address",
            arguments: [
                ("0.0.0.0 ::", "ws://h.example", "tcp://h.example:9"),
                ("0.0.0.0", "ws://h.example", "tcp://h.example:9"),
                ("0.0.0.0 ::", "ws://192.0.2.1", "tcp://192.0.2.1:9"),
                ("0.0.0.0 ::", "ws://[2001:db8::1]", "tcp://[2001:db8::1]:9"),
                ("127.0.0.1 ::1", "ws://h.example", "tcp://127.0.0.1:9"), ("::1", "ws://h.example", "tcp://[::1]:9"),
                ("203.0.113.9 2001:db8::9", "ws://h.example", "tcp://203.0.113.9:9"),
                ("", "ws://h.example", "tcp://h.example:9"),
            ]
        )
        func url(address: String, endpoint: String, expected: String) throws {
            let binding = Binding(tunnel: 0, address: address, port: 9)
            #expect(binding.url(try EndpointURL(endpoint), .tcp) == expected)
            let udp = expected.replacing("tcp:", with: "udp:")
            #expect(binding.url(try EndpointURL(endpoint), .udp) == udp)
        }

        @Test("P11 a tunnel to its own port loops at most as often as the session has streams")
        func loop() async throws {
            try await RunningServer.with({ $0.limits.streams = 12 }) { server in
                let port = try FreePorts.next()
                try await RunningClient.with(.alice, server.port, "\(port):127.0.0.1:\(port)") { client in
                    _ = try await client.tunnels.next("the tunnel is public")
                    try await onThread {
                        let other = try ManualTunnel(server.port, .bob)
                        let visitor = try TCPSocket(port: port)
                        try visitor.send("round and round")
                        // The loop does not affect another session.
                        for _ in 0..<20 { try other.requireBothDirections() }
                        visitor.abort()
                    }
                    #expect(client.ends.all.isEmpty)
                }
                try await eventually("Alice's session ends") { server.sessions == 0 }
            }
        }

        @Test("P12 a visitor whose service refuses receives a reset and no byte")
        func refusingService() async throws {
            try await RunningServer.with { server in
                let (port, closed) = (try FreePorts.next(), try FreePorts.next())
                try await RunningClient.with(.alice, server.port, "\(port):127.0.0.1:\(closed)") { client in
                    _ = try await client.tunnels.next("the tunnel is public")
                    let end = try await onThread { try TCPSocket(port: port).drain() }
                    #expect(end.ending == .reset && end.bytes.isEmpty)
                }
            }
        }

        @Test("S5 a client can neither send on another's stream nor receive from it")
        func otherSession() async throws {
            try await RunningServer.with { server in
                try await onThread {
                    let (alice, bob) = (try ManualTunnel(server.port, .alice), try ManualTunnel(server.port, .bob))
                    let second = try TCPSocket(port: alice.port)
                    let hers = try alice.accept()
                    try second.send("for Alice")
                    let data = try alice.peer.frame(.data)
                    try require(data.payload == ByteBuffer(string: "for Alice"), "\(data)")
                    // The stream number belongs to Alice's session, and was never opened in Bob's.
                    try bob.peer.send(OutboundFrame(.data, hers, ByteBuffer(string: "from Bob")))
                    let (code, frames, _) = try bob.peer.readToEnd()
                    try require(code == .protocolError, "\(code as Any)")
                    try require(!frames.contains { $0.header.type == .open || $0.header.type == .data }, "\(frames)")
                    try alice.requireBothDirections()
                    try alice.peer.send(OutboundFrame(.data, hers, ByteBuffer(string: "from Alice")))
                    try require(try second.receive(exactly: 10) == Array("from Alice".utf8), "bytes of another stream")
                }
            }
        }
    }
}
