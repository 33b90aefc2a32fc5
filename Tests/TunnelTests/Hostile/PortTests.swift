import NIOCore
import NetworkAddress
import TestSupport
import Testing

@testable import Mux
@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer

extension HostileTests {
    /// Public ports: who may have which, what is said where one cannot be had, and that nobody shares one.
    @Suite(.serialized)
    struct PortTests {
        @Test("P1 ports below 1024 and outside the range are refused; 0 is one of the range")
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
            "P1 P7 the server's own port, and one of another program, are in use; the session and its other ports go on"
        )
        func inUse() async throws {
            let taken = try TCPService.echo()
            try await RunningServer.with { server in
                try await onThread {
                    let tunnel = try HandTunnel(server.port, .alice)
                    for (number, port) in [server.port, taken.port].enumerated() {
                        let refusal = try tunnel.peer.bind(port, tunnel: UInt16(number + 1))
                        try require(refusal?.code == .portInUse, "\(port): \(refusal as Any)")
                        let user =
                            number == 0 ? "culvert server itself, as its endpoint" : "another program on the server"
                        let text = "port \(port) of 127.0.0.1 is in use by \(user)"
                        try require(refusal?.text == text, "\(refusal as Any)")
                    }
                    let own = try FreePorts.next()
                    try require(try tunnel.peer.bind(own, tunnel: 3) == nil, "no further port")
                    let text = try tunnel.peer.bind(own, tunnel: 4)?.text
                    let says = "port \(own) of 127.0.0.1 is in use by another tunnel of this session"
                    try require(text == says, "\(text as Any)")
                    try tunnel.demandBothWays()
                }
            }
        }

        @Test("P7 an address that the server does not have is named")
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

        @Test("P2 A22 a client has its own ports, whoever else asks for them first")
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
                    try require(try bob.bind(others, tunnel: 1) == nil, "Bob has not his own")
                    try require(try alice.bind(own, tunnel: 1) == nil, "Alice has not her own")
                }
            }
        }

        @Test("A11 a reload that takes a right away holds for the next request of a session that lives")
        func reloadedRights() async throws {
            let (kept, lost) = (try FreePorts.next(), try FreePorts.next())
            try await RunningServer.with { server in
                let peer = try await onThread {
                    let peer = try WirePeer.session(server.port, .alice)
                    try require(try peer.bind(kept) == nil, "refused before the reload")
                    return NonSendable(peer)
                }
                server.reload { $0.clients[0].allowedPorts = PortRanges(ranges: [kept...kept]) }
                try await eventually("it is reloaded") { server.log.count("reloaded") == 1 }
                try await onThread {
                    try require(try peer.value.bind(lost, tunnel: 1)?.code == .portNotAllowed, "a right that is gone")
                }
            }
        }

        @Test("A11 a reload that narrows a client's rights closes its port with a reason, and its visitors go on")
        func narrowedRights() async throws {
            let (kept, lost) = (try FreePorts.next(), try FreePorts.next())
            try await RunningServer.with { server in
                let scene = try await onThread {
                    let peer = try WirePeer.session(server.port, .alice)
                    try require(try peer.bind(kept) == nil && peer.bind(lost, tunnel: 1) == nil, "refused at first")
                    let visitor = try TCPSocket(port: lost)
                    let stream = try peer.frame(.open).header.stream
                    try peer.send(OutboundFrame(.accept, stream))
                    return NonSendable((peer: peer, visitor: visitor, stream: stream))
                }
                server.reload { $0.clients[0].allowedPorts = PortRanges(ranges: [kept...kept]) }
                try await onThread {
                    let (peer, visitor, stream) = scene.value
                    let refusal = try Refusal(peer.frame(.unbound).payload, of: .unbound)
                    try require(refusal.code == .portNotAllowed, "\(refusal)")
                    try visitor.send("still here")
                    let data = try peer.frame(.data)
                    try require(data.header.stream == stream, "\(data.header)")
                    try require((try? TCPSocket(port: lost)) == nil, "the port is open")
                    let other = try TCPSocket(port: kept)
                    _ = try peer.frame(.open)
                    other.close()
                    try require(server.log.count("port closed") == 1, "the log says so")
                    // The port is free for another client.
                    let bob = try WirePeer.session(server.port, .bob)
                    try require(try bob.bind(lost) == nil, "the port is held still")
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
                    let (_, frames, _) = try peer.value.toTheEnd()
                    let reason = try frames.last.map { try Refusal($0.payload, of: .goAway) }
                    try require(reason?.text == "the operator has removed this client", "\(reason as Any)")
                    let bob = try WirePeer.session(server.port, .bob)
                    while let refusal = try bob.bind(port) {
                        try require(refusal.code == .portInUse, "\(refusal)")
                        pause()
                    }
                    let again = try WirePeer.dial(server.port)
                    try again.send(again.authentication(.alice).frame)
                    try require(try again.frame(.welcome, .refused).header.type == .refused, "she is back")
                }
            }
        }

        @Test(
            "P3 P6 of two clients that ask for forty ports at the same moment exactly one gets each, and all visitors"
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
                let wishes = ports.enumerated().map { WirePeer.bindRequest($1, tunnel: UInt16($0)) }
                try peer.socket.send(wishes.flatMap { try peer.encode($0) })
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

        @Test("P4 P5 a port of a client that was cut off is kept: another is told so, and its owner has it at once")
        func kept() async throws {
            try await RunningServer.with({ $0.limits.grace = .seconds(120) }) { server in
                try await onThread {
                    let tunnel = try HandTunnel(server.port, .alice)
                    tunnel.peer.socket.abort()
                    let bob = try WirePeer.session(server.port, .bob)
                    var refusal = try bob.bind(tunnel.port)
                    // The server learns of the end a moment later.
                    while refusal?.text.contains("is held by") == true {
                        pause()
                        refusal = try bob.bind(tunnel.port)
                    }
                    try require(
                        refusal?.text.contains("is kept for alice, which was cut off") == true,
                        "\(refusal as Any)"
                    )
                    let alice = try WirePeer.session(server.port, .alice)
                    try require(try alice.bind(tunnel.port) == nil, "its owner has not got it")
                    // Nobody can go on with what was there before.
                    try require(try tunnel.visitor.drain().ending == .reset, "the visitor was not reset")
                }
            }
        }

        @Test("P8 a port is bound again over connections in TIME_WAIT, and no other program can share it")
        func timeWait() async throws {
            try await RunningServer.with { server in
                try await onThread {
                    let tunnel = try HandTunnel(server.port, .alice)
                    // The server's end closes first, and stays in TIME_WAIT.
                    try tunnel.peer.send(OutboundFrame(.end, tunnel.stream))
                    try require(try tunnel.visitor.receiveToEnd().isEmpty, "bytes from nowhere")
                    try tunnel.visitor.finishSending()
                    _ = try tunnel.peer.frame(.end)
                    let shared = try? TCPService.listening(on: tunnel.port, sharing: true)
                    try require(shared == nil, "another socket has the same port")
                    try tunnel.peer.socket.send(tunnel.peer.webSocketFrame(8, [3, 232]))
                    _ = try tunnel.peer.toTheEnd()
                    let again = try WirePeer.session(server.port, .alice)
                    try require(try again.bind(tunnel.port) == nil, "TIME_WAIT keeps the port")
                }
            }
        }

        @Test("P9 where one family's port is taken both are refused, and the line names the address that is not free")
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
                        // The other family's is free again, too.
                        other.stop()
                        try peer.send(BindRequest(tunnel: 0, address: "", port: port).frame)
                        let binding = try Binding(peer.frame(.bound, .unbound).payload)
                        try require(binding.address == "0.0.0.0 ::", "\(binding)")
                    }
                }
            }
        }

        @Test("P9 P10 what is bound is told as it is, to the client and in the log, with who may come")
        func whatIsBound() async throws {
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
            "P9 the URL of a tunnel is one at which it can be reached",
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
            #expect(binding.url(try EndpointURL(endpoint)) == expected)
        }

        @Test("P11 a tunnel that leads to its own port goes round as often as the session has streams, and no further")
        func loop() async throws {
            try await RunningServer.with({ $0.limits.streams = 12 }) { server in
                let port = try FreePorts.next()
                try await RunningClient.with(.alice, server.port, "\(port):127.0.0.1:\(port)") { client in
                    _ = try await client.tunnels.next("the tunnel is public")
                    try await onThread {
                        let other = try HandTunnel(server.port, .bob)
                        let visitor = try TCPSocket(port: port)
                        try visitor.send("round and round")
                        // Nobody answers, and nobody else notices.
                        for _ in 0..<20 { try other.demandBothWays() }
                        visitor.abort()
                    }
                    #expect(client.ends.all.isEmpty)
                }
                try await eventually("Alice's session ends") { server.sessions == 0 }
            }
        }

        @Test("P12 a visitor whose service refuses sees a reset and not one byte")
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

        @Test("S5 a client cannot speak on another's stream, nor hear of its visitors")
        func otherSession() async throws {
            try await RunningServer.with { server in
                try await onThread {
                    let (alice, bob) = (try HandTunnel(server.port, .alice), try HandTunnel(server.port, .bob))
                    let second = try TCPSocket(port: alice.port)
                    let hers = try alice.accept()
                    try second.send("for Alice")
                    let data = try alice.peer.frame(.data)
                    try require(data.payload == ByteBuffer(string: "for Alice"), "\(data)")
                    // The number is one of Alice's; in Bob's session it was never opened.
                    try bob.peer.send(OutboundFrame(.data, hers, ByteBuffer(string: "from Bob")))
                    let (code, frames, _) = try bob.peer.toTheEnd()
                    try require(code == .protocolError, "\(code as Any)")
                    try require(!frames.contains { $0.header.type == .open || $0.header.type == .data }, "\(frames)")
                    try alice.demandBothWays()
                    try alice.peer.send(OutboundFrame(.data, hers, ByteBuffer(string: "from Alice")))
                    try require(try second.receive(exactly: 10) == Array("from Alice".utf8), "another's bytes")
                }
            }
        }
    }
}
