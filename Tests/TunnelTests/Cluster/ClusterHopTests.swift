import Mux
import NIOCore
import Seal
import TestSupport
import Testing

@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer

/// Servers of one cluster: each one takes the visitors of all ports.
@Suite("Visitors at any server of a cluster", .serialized)
struct ClusterHopTests {
    /// Runs servers with a client of Alice's at the first one, whose port leads to a service.
    private func withPort(
        to service: TCPService,
        _ body: @escaping @Sendable (RunningCluster, UInt16) async throws -> Void
    ) async throws {
        defer { service.stop() }
        let target = service.port
        try await RunningCluster.with { cluster in
            let port = try FreePorts.next()
            try await cluster.withClient(at: [0], port: port, to: target) { _ in
                for member in cluster.members { try await cluster.waitForPort(port, at: member) }
                try await body(cluster, port)
            }
        }
    }

    @Test("A port that a client has at one server is served by all")
    func allServers() async throws {
        try await withPort(to: .echo()) { cluster, port in
            for member in cluster.members { try await cluster.expectEcho(at: member, port) }
        }
    }

    @Test("A visitor's half-close reaches the service over the hop, and the answer comes back after it")
    func halfClose() async throws {
        try await withPort(to: .answerAfterEnd()) { cluster, port in
            try await onThread {
                let visitor = try TCPSocket(port: port, address: cluster.members[1].address)
                try visitor.send("question")
                try visitor.finishSending()
                let answer = String(decoding: try visitor.receiveToEnd(), as: UTF8.self)
                try require(answer == "8\nquestion", answer)
                visitor.close()
            }
        }
    }

    @Test("What a visitor has sent with an early end waits for its client, which has left one server for another")
    func earlyEnd() async throws {
        let service = try TCPService.answerAfterEnd()
        defer { service.stop() }
        let target = service.port
        try await RunningCluster.with { cluster in
            let port = try FreePorts.next()
            try await cluster.withClient(at: [0], port: port, to: target) { _ in
                try await cluster.waitForPort(port, at: cluster.members[2])
            }
            let visitor = try TCPSocket(port: port, address: cluster.members[2].address)
            let bytes = [UInt8](repeating: 7, count: 200_000)
            try await onThread {
                try visitor.send(bytes)
                try visitor.finishSending()
            }
            try await cluster.withClient(at: [1], port: port, to: target) { _ in
                let answer = try await onThread { try visitor.receiveToEnd() }
                try require(answer == Array("200000\n".utf8) + bytes, "\(answer.count) bytes")
            }
        }
    }

    @Test("A visitor's end after the service's is an end, and no reset, also over the hop")
    func endAfterEnd() async throws {
        let endings = Mailbox<TCPSocket.Ending>()
        let service = try TCPService(timeout: .seconds(60)) { socket in
            _ = try socket.receive(exactly: 1)
            try socket.send("bye")
            try socket.finishSending()
            endings.put(try socket.drain().ending)
        }
        try await withPort(to: service) { cluster, port in
            for member in cluster.members {
                try await onThread {
                    let visitor = try TCPSocket(port: port, address: member.address)
                    try visitor.send("x")
                    _ = try visitor.receiveToEnd()
                    visitor.close()
                }
                let ending = try await endings.next("the service sees the end")
                try require(ending == .end, "\(ending) at \(member.address)")
            }
        }
    }

    @Test("Ten megabytes cross the hop in both directions at once, unchanged")
    func bulk() async throws {
        try await withPort(to: .echo()) { cluster, port in
            let bytes = randomBytes(10_000_000)
            let visitor = try TCPSocket(port: port, address: cluster.members[2].address)
            async let sent: Void = onThread { try visitor.send(bytes) }
            let back = try await onThread { try visitor.receive(exactly: bytes.count) }
            try await sent
            try require(back == bytes, "other bytes came back")
            visitor.close()
        }
    }

    @Test("A reset of the service's socket resets the visitor at another server")
    func serviceResets() async throws {
        let service = try TCPService(timeout: .seconds(60)) { socket in
            _ = try socket.receive(exactly: 1)
            socket.abort()
        }
        try await withPort(to: service) { cluster, port in
            try await onThread {
                let visitor = try TCPSocket(port: port, address: cluster.members[1].address)
                try visitor.send("x")
                let (_, ending) = try visitor.drain()
                try require(ending == .reset, "\(ending)")
            }
        }
    }

    @Test("A visitor that resets its connection at another server resets the service's socket")
    func visitorResets() async throws {
        let endings = Mailbox<TCPSocket.Ending>()
        let service = try TCPService(timeout: .seconds(60)) { socket in
            try socket.send("y")
            endings.put(try socket.drain().ending)
        }
        try await withPort(to: service) { cluster, port in
            try await onThread {
                let visitor = try TCPSocket(port: port, address: cluster.members[1].address)
                try visitor.send("x")
                _ = try visitor.receive(exactly: 1)
                visitor.abort()
            }
            // Probes for the port end in order.
            while try await endings.next("a connection ends") != .reset {}
        }
    }

    @Test("A service that refuses resets the visitor at another server")
    func refused() async throws {
        let service = try TCPService.echo()
        try await withPort(to: service) { cluster, port in
            service.stop()
            try await eventually("the visitor is reset") {
                guard let visitor = try? TCPSocket(port: port, address: cluster.members[1].address) else {
                    return false
                }
                try? visitor.send("x")
                return (try? visitor.drain().ending) == .reset
            }
        }
    }

    @Test("A port is one client's in the whole cluster, and is free for others once it is given back")
    func exclusive() async throws {
        let service = try TCPService.echo()
        defer { service.stop() }
        let target = service.port
        try await RunningCluster.with { cluster in
            let port = try FreePorts.next()
            let log = CollectedLog()
            try await cluster.withClient(at: [0], port: port, to: target) { _ in
                try await cluster.waitForPort(port, at: cluster.members[1])
                let url = "ws://127.0.0.1:\(cluster.members[1].port)"
                let bob = try cluster.client(url, as: .bob, port: port, to: target, log: log, Mailbox())
                let running = Task { try await bob.run() }
                try await eventually("Bob is told who has the port") {
                    log.count("is held by alice at another server") > 0
                }
                running.cancel()
                _ = try? await running.value
            }
            try await cluster.withClient(.bob, at: [1], port: port, to: target) { _ in
                for member in cluster.members { try await cluster.expectEcho(at: member, port) }
            }
        }
    }

    @Test("The home sees the address of a visitor that has reached another server")
    func address() async throws {
        try await withPort(to: .echo()) { cluster, port in
            let local = try await onThread {
                let visitor = try TCPSocket(port: port, address: cluster.members[1].address)
                try visitor.send("x")
                _ = try visitor.receive(exactly: 1)
                let local = visitor.localPort
                visitor.close()
                return local
            }
            try await eventually("the home logs the visitor") {
                cluster.members[0].log.count("visitor=127.0.0.1:\(local)") > 0
            }
        }
    }
}

@Suite("Clients that move in a cluster", .serialized)
struct ClusterMoveTests {
    @Test("A client whose server stops has its port at another one, which all others serve")
    func serverStops() async throws {
        let service = try TCPService.echo()
        defer { service.stop() }
        let target = service.port
        try await RunningCluster.with { cluster in
            let port = try FreePorts.next()
            try await cluster.withClient(at: [0, 1], port: port, to: target) { urls in
                try await cluster.waitForPort(port, at: cluster.members[2])
                await cluster.members[0].stop()
                _ = try await urls.next("the tunnel is public again")
                for member in cluster.members.dropFirst() { try await cluster.expectEcho(at: member, port) }
            }
        }
    }

    @Test("A client that is back at another server takes its port over from a session without an answer")
    func takeOver() async throws {
        let service = try TCPService.echo()
        defer { service.stop() }
        let target = service.port
        try await RunningCluster.with { cluster in
            let port = try FreePorts.next()
            let relay = try FaultRelay(to: cluster.members[0].port)
            let urls = Mailbox<String>()
            let lost = try cluster.client("ws://127.0.0.1:\(relay.port)", port: port, to: target, urls)
            let losing = Task { try await lost.run() }
            _ = try await urls.next("the tunnel is public")
            relay.setBlackhole(.both)
            // The same process of the same client, as far as the servers know.
            try await cluster.withClient(at: [1], port: port, to: target) { _ in
                try await eventually("the first server gives the port up") {
                    cluster.members[0].log.count("is held at server") > 0
                }
                for member in cluster.members { try await cluster.expectEcho(at: member, port) }
            }
            losing.cancel()
            _ = try? await losing.value
        }
    }

    @Test("A second process of a client is refused while the first one answers at another server")
    func secondProcess() async throws {
        let service = try TCPService.echo()
        defer { service.stop() }
        let target = service.port
        try await RunningCluster.with { cluster in
            let port = try FreePorts.next()
            try await cluster.withClient(at: [0], port: port, to: target) { _ in
                let log = CollectedLog()
                let url = "ws://127.0.0.1:\(cluster.members[1].port)"
                let second = try cluster.client(url, port: port, to: target, log: log, Mailbox())
                let running = Task { try await second.run() }
                try await eventually("it is told why") {
                    log.count("is held by another running process of alice") > 0
                }
                running.cancel()
                _ = try? await running.value
                try await cluster.expectEcho(at: cluster.members[2], port)
            }
        }
    }

    @Test(
        "A client whose next connection reaches another server goes on with its session and its streams, also compressed",
        arguments: [false, true]
    )
    func resumeElsewhere(compresses: Bool) async throws {
        let service = try TCPService.echo()
        defer { service.stop() }
        let target = service.port
        try await RunningCluster.with { cluster in
            let port = try FreePorts.next()
            let relay = try FaultRelay(to: cluster.members[0].port)
            let (urls, log) = (Mailbox<String>(), CollectedLog())
            let client = try cluster.client(
                "ws://127.0.0.1:\(relay.port)",
                port: port,
                to: target,
                compresses: compresses,
                log: log,
                urls
            )
            let running = Task { try await client.run() }
            _ = try await urls.next("the tunnel is public")
            for member in cluster.members { try await cluster.waitForPort(port, at: member) }
            let visitors = try cluster.members.map { try TCPSocket(port: port, address: $0.address) }
            for visitor in visitors { try await echo("before", visitor) }
            for number in 1...2 {
                relay.setTarget(cluster.members[number].port)
                relay.cut(.reset)
                try await eventually("the session continues") { log.count("session resumed") == number }
                let text = String(repeating: "after \(number), ", count: 2_000)
                for visitor in visitors { try await echo(text, visitor) }
            }
            try require(log.count("session opened") == 1, "another session: \(log.text)")
            try require(cluster.members[2].log.count("carrier relayed") == 1, cluster.members[2].log.text)
            for visitor in visitors { visitor.close() }
            running.cancel()
            _ = try? await running.value
        }
    }

    @Test("While the key of a cluster is replaced, a client that knows both keys goes on at any server")
    func keyRotation() async throws {
        let service = try TCPService.echo()
        defer { service.stop() }
        let target = service.port
        let (old, new) = (ServerKey(), ServerKey())
        var keys = [old, new]
        try await RunningCluster.with(2, { $0.serverKey = keys.removeFirst() }) { cluster in
            let port = try FreePorts.next()
            let relay = try FaultRelay(to: cluster.members[0].port)
            let (urls, log) = (Mailbox<String>(), CollectedLog())
            let client = try cluster.client(
                "ws://127.0.0.1:\(relay.port)",
                port: port,
                to: target,
                pins: [old.publicKey, new.publicKey],
                log: log,
                urls
            )
            let running = Task { try await client.run() }
            _ = try await urls.next("the tunnel is public")
            let visitor = try TCPSocket(port: port, address: cluster.members[0].address)
            try await echo("before", visitor)
            for (round, number) in [1, 0, 1].enumerated() {
                relay.setTarget(cluster.members[number].port)
                relay.cut(.reset)
                try await eventually("the session continues") { log.count("session resumed") == round + 1 }
                try await echo("after \(round)", visitor)
            }
            try require(log.count("session opened") == 1, "another session: \(log.text)")
            visitor.close()
            // The home ends, and the next session is that of the server with the new key.
            await cluster.members[0].stop()
            try await eventually("another session begins") { log.count("session opened") == 2 }
            // Until the new session has the port, a visitor may come to the old one, and is reset.
            _ = try await urls.next("the tunnel is public at the other server")
            try await cluster.expectEcho(at: cluster.members[1], port)
            try require(
                log.count("session opened sealed=\(new.publicKey.fingerprint)") == 1,
                "another key: \(log.text)"
            )
            running.cancel()
            _ = try? await running.value
        }
    }

    @Test("Ten megabytes cross a carrier that another server relays")
    func bulkOverRelay() async throws {
        let service = try TCPService.echo()
        defer { service.stop() }
        let target = service.port
        try await RunningCluster.with(2) { cluster in
            let port = try FreePorts.next()
            let relay = try FaultRelay(to: cluster.members[0].port)
            let (urls, log) = (Mailbox<String>(), CollectedLog())
            let client = try cluster.client("ws://127.0.0.1:\(relay.port)", port: port, to: target, log: log, urls)
            let running = Task { try await client.run() }
            _ = try await urls.next("the tunnel is public")
            relay.setTarget(cluster.members[1].port)
            relay.cut(.reset)
            try await eventually("the session continues") { log.count("session resumed") == 1 }
            let bytes = randomBytes(10_000_000)
            let visitor = try TCPSocket(port: port, address: cluster.members[0].address)
            async let sent: Void = onThread { try visitor.send(bytes) }
            let back = try await onThread { try visitor.receive(exactly: bytes.count) }
            try await sent
            try require(back == bytes, "other bytes came back")
            visitor.close()
            running.cancel()
            _ = try? await running.value
        }
    }

    @Test("A server that stops sends clients on whose carriers it relays: their sessions and streams go on elsewhere")
    func relayStops() async throws {
        let service = try TCPService.echo()
        defer { service.stop() }
        let target = service.port
        try await RunningCluster.with { configuration in
            configuration.drainTimeout = .seconds(60)
        } _: { cluster in
            let port = try FreePorts.next()
            let relay = try FaultRelay(to: cluster.members[0].port)
            let (urls, log) = (Mailbox<String>(), CollectedLog())
            let client = try cluster.client("ws://127.0.0.1:\(relay.port)", port: port, to: target, log: log, urls)
            let running = Task { try await client.run() }
            _ = try await urls.next("the tunnel is public")
            let visitor = try TCPSocket(port: port, address: cluster.members[0].address)
            try await echo("before", visitor)
            relay.setTarget(cluster.members[1].port)
            relay.cut(.reset)
            try await eventually("the session continues") { log.count("session resumed") == 1 }
            relay.setTarget(cluster.members[2].port)
            let begin = ContinuousClock.now
            await cluster.members[1].stop()
            try require(ContinuousClock.now - begin < .seconds(30), "the stop took the whole time for streams")
            try await eventually("the session continues") { log.count("session resumed") == 2 }
            try await echo("after", visitor)
            try require(log.count("session opened") == 1, "another session: \(log.text)")
            visitor.close()
            running.cancel()
            _ = try? await running.value
        }
    }

    private func echo(_ text: String, _ visitor: TCPSocket) async throws {
        try await onThread {
            try visitor.send(text)
            let answer = String(decoding: try visitor.receive(exactly: text.utf8.count), as: UTF8.self)
            try require(answer == text, answer)
        }
    }
}

@Suite("Datagrams at any server of a cluster")
struct ClusterFlowTests {
    @Test("Datagrams that reach another server than the session's are answered from there")
    func echo() async throws {
        // The servers may take long to start on a busy machine.
        let service = try UDPSocket(timeout: .seconds(300))
        let echoing = Task {
            try await onThread {
                while true {
                    let datagram = try service.receive()
                    guard !datagram.bytes.isEmpty else { return }
                    try service.send(datagram.bytes, to: datagram.port)
                }
            }
        }
        try await RunningCluster.with { cluster in
            let port = try FreePorts.next()
            let urls = Mailbox<String>()
            var spec = TunnelSpec(port: port, to: .address(host: "127.0.0.1", port: service.port))
            spec.transport = .udp
            let url = "ws://127.0.0.1:\(cluster.members[0].port)"
            let client = try cluster.client(url, port: port, to: 0, tunnels: [spec], urls)
            let running = Task { try await client.run() }
            _ = try await urls.next("the tunnel is public")
            for member in cluster.members {
                let socket = try UDPSocket(timeout: .seconds(1))
                // Datagrams that come before the link is there are dropped.
                try await onThread {
                    for _ in 0..<10 {
                        try socket.send(Array("ping".utf8), to: port, address: member.address)
                        if (try? socket.receive().bytes) == Array("ping".utf8) { return }
                    }
                    throw ScenarioFailure(description: "no echo at \(member.address)")
                }
            }
            running.cancel()
            _ = try? await running.value
        }
        // An empty datagram ends the service.
        try UDPSocket().send([], to: service.port)
        _ = try? await echoing.value
    }
}
