import Mux
import NIOCore
import ProxyConnect
import TestSupport
import Testing

@testable import TunnelClient
@testable import TunnelCore

@Suite("Several addresses of one name")
struct AddressRotationTests {
    private let addresses = (1...9).compactMap { try? SocketAddress(ipAddress: "192.0.2.\($0)", port: 443) }

    @Test("An address that connected and then failed is skipped, until none is left")
    func inTurn() {
        let rotation = AddressRotation()
        let three = Array(addresses.prefix(3))
        for left in [3, 2, 1] {
            rotation.begin(again: false)
            let offered = rotation.choose(among: three)
            #expect(offered.count == left)
            #expect(rotation.connected(to: offered[0]))
            #expect(rotation.failed() == (left > 1))
        }
    }

    @Test("If none connects, all offered addresses have failed")
    func noneConnects() {
        let rotation = AddressRotation()
        rotation.begin(again: false)
        #expect(rotation.choose(among: Array(addresses.prefix(3))).count == 3)
        #expect(!rotation.failed())
    }

    @Test("A dial tries at most eight addresses")
    func bounded() {
        let rotation = AddressRotation()
        for number in 1...AddressRotation.maximumTries {
            rotation.begin(again: false)
            #expect(rotation.connected(to: rotation.choose(among: addresses)[0]))
            #expect(rotation.failed() == (number < AddressRotation.maximumTries))
        }
    }

    @Test("Of two concurrent connections the first one is used")
    func oneWins() {
        let rotation = AddressRotation()
        rotation.begin(again: false)
        #expect(rotation.connected(to: addresses[0]))
        #expect(!rotation.connected(to: addresses[1]))
        #expect(rotation.connected == addresses[0])
    }

    @Test("The next request of a proxy exchange goes to the same address")
    func pinned() {
        let rotation = AddressRotation()
        rotation.begin(again: false)
        _ = rotation.choose(among: addresses)
        #expect(rotation.connected(to: addresses[4]))
        rotation.begin(again: true)
        #expect(rotation.choose(among: addresses) == [addresses[4]])
        // The address fails, and the others are left.
        #expect(rotation.failed())
        rotation.begin(again: false)
        #expect(!rotation.choose(among: addresses).contains(addresses[4]))
    }

    @Test("The next dial prefers addresses that have not failed, and a session clears the suspicion of its address")
    func suspects() {
        let suspects = SuspectAddresses()
        let two = Array(addresses.prefix(2))
        let first = AddressRotation(suspects)
        first.begin(again: false)
        _ = first.choose(among: two)
        #expect(first.connected(to: two[0]))
        #expect(first.failed())
        let second = AddressRotation(suspects)
        second.begin(again: false)
        #expect(second.choose(among: two) == [two[1]])
        // The other address fails to connect, so the suspect is tried.
        #expect(second.failed())
        second.begin(again: false)
        #expect(second.choose(among: two) == [two[0]])
        #expect(second.connected(to: two[0]))
        second.succeeded()
        let third = AddressRotation(suspects)
        third.begin(again: false)
        #expect(third.choose(among: two) == two)
    }

    @Test("A suspicion ends after ten minutes, and at most 64 addresses are suspected")
    func suspicionIsBounded() throws {
        let suspects = SuspectAddresses()
        let start = Instant(nanoseconds: 1)
        let many = try (0...SuspectAddresses.maximum).map { try SocketAddress(ipAddress: "198.51.100.\($0)", port: 1) }
        for address in many { suspects.insert(address, now: start) }
        #expect(many.count { suspects.contains($0, now: start) } == SuspectAddresses.maximum)
        #expect(!many.contains { suspects.contains($0, now: start + SuspectAddresses.validity) })
        suspects.insert(many[0], now: start + SuspectAddresses.validity)
        #expect(suspects.contains(many[0], now: start + SuspectAddresses.validity))
    }

    /// The behaviour of the first address of the server's name.
    struct Failure: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let hop: DialError.Hop
        let serve: @Sendable (TCPSocket) throws -> Void

        init(_ name: String, _ hop: DialError.Hop, _ serve: @escaping @Sendable (TCPSocket) throws -> Void) {
            (testDescription, self.hop, self.serve) = (name, hop, serve)
        }
    }

    static let failures = [
        Failure("it closes without an answer", .upgrade) { _ = try $0.receive() },
        Failure("it answers 502", .upgrade) {
            _ = try $0.receive()
            try $0.send("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            _ = try $0.receiveToEnd()
        },
        Failure("it answers 404", .upgrade) {
            _ = try $0.receive()
            try $0.send("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            _ = try $0.receiveToEnd()
        },
        Failure("it speaks SSH", .upgrade) {
            try $0.send("SSH-2.0-OpenSSH_9.2\r\n")
            _ = try $0.receiveToEnd()
        },
        Failure("it is silent", .upgrade) { _ = try $0.receiveToEnd() },
        Failure("it upgrades and closes", .session) { _ = try WirePeer.answer($0) },
        Failure("it upgrades and is silent", .session) { _ = try WirePeer.answer($0).socket.receiveToEnd() },
    ]

    @Test("The next address is dialled if the first one gives no session, and the log names it", arguments: failures)
    func nextAddress(failure: Failure) async throws {
        try await RunningServer.with { server in
            let bad = try TCPService(port: server.port, address: "127.0.0.2") { try failure.serve($0) }
            try await Self.client(["127.0.0.2", "127.0.0.1"], server.port) { client in
                _ = try await client.tunnels.next("the tunnel is public")
                #expect(bad.accepted == 1)
                let line = "ws://twin.test:\(server.port)/tunnel at 127.0.0.2:\(server.port): \(failure.hop.rawValue): "
                #expect(client.log.count(line) == 1, "\(client.log.text)")
                #expect(client.log.count("trying another address of the same name") == 1)
            }
        }
    }

    @Test("If a server refuses the token, no other address is dialled")
    func refusal() async throws {
        try await RunningServer.with({ $0.clients = [] }) { server in
            let other = try TCPService.listening(on: server.port, address: "127.0.0.2")
            try await Self.client(["127.0.0.1", "127.0.0.2"], server.port) { client in
                let end = try await client.ends.next("the client ends")
                #expect(end.hasPrefix("refused: ws://twin.test:\(server.port)/tunnel at 127.0.0.1:\(server.port): "))
                #expect(other.accepted == 0)
            }
        }
    }

    @Test("If all addresses refuse the connection, the error names them")
    func allRefuse() async throws {
        let port = try FreePorts.next()
        try await Self.client(["127.0.0.2", "127.0.0.3"], port, { $0.maximumRetries = 0 }) { client in
            let end = try await client.ends.next("the client ends")
            let places = "127.0.0.2:\(port), 127.0.0.3:\(port)"
            #expect(
                end == "ws://twin.test:\(port)/tunnel at \(places): connect: twin.test:\(port) refused the connection; "
                    + "check that the server runs"
            )
        }
    }

    @Test("A proxy's next address is dialled if the first one does not answer CONNECT")
    func proxy() async throws {
        try await RunningServer.with { server in
            let good = try ScriptedProxy.open()
            let port = try #require(UInt16(good.url.split(separator: ":").last ?? ""))
            let bad = try TCPService(port: port, address: "127.0.0.2") { _ = try $0.receive() }
            try await Self.client(["127.0.0.2", "127.0.0.1"], server.port, { Self.dial(&$0, through: port) }) {
                client in
                _ = try await client.tunnels.next("the tunnel is public")
                #expect(bad.accepted == 1)
                let line = "through proxy http://twin.test:\(port) at 127.0.0.2:\(port): proxy: "
                #expect(client.log.count(line) == 1, "\(client.log.text)")
            }
        }
    }

    @Test("If a proxy answers CONNECT with any status, no other address is dialled")
    func proxyAnswers() async throws {
        let proxy = try ScriptedProxy { visit in
            _ = try visit.request()
            try visit.answer("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
        }
        let port = try #require(UInt16(proxy.url.split(separator: ":").last ?? ""))
        let other = try TCPService.listening(on: port, address: "127.0.0.2")
        let configure: (inout ClientConfiguration) -> Void = {
            Self.dial(&$0, through: port)
            $0.maximumRetries = 0
        }
        try await Self.client(["127.0.0.1", "127.0.0.2"], 9, configure) { client in
            let end = try await client.ends.next("the client ends")
            #expect(end.contains("503"))
            #expect(other.accepted == 0)
        }
    }

    private static func dial(_ configuration: inout ClientConfiguration, through port: UInt16) {
        if let url = try? ProxyURL("http://twin.test:\(port)") { configuration.proxies = { _ in [.proxy(url)] } }
    }

    /// Runs a client for which `twin.test` resolves to these addresses in this order.
    private static func client(
        _ addresses: [String],
        _ port: UInt16,
        _ configure: (inout ClientConfiguration) -> Void = { _ in },
        _ body: @Sendable (RunningClient) async throws -> Void
    ) async throws {
        let found = try addresses.map { try SocketAddress(ipAddress: $0, port: 0) }
        let names = HostNames(configuration: "/nonexistent") {
            $0 == "twin.test" ? .success(found) : .failure(.notFound)
        }
        try await RunningClient.with(
            .alice,
            port,
            "0:127.0.0.1:9",
            names: names,
            configure: { configuration in
                if let url = try? EndpointURL("ws://twin.test:\(port)") { configuration.endpoints = [url] }
                configuration.clientLimits.hopTimeout = .seconds(2)
                configure(&configuration)
            },
            body
        )
    }
}
