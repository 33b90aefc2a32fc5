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

    @Test("an address that connected and then failed is left out, until none is left")
    func inTurn() {
        let turn = AddressRotation()
        let three = Array(addresses.prefix(3))
        for left in [3, 2, 1] {
            turn.begin(again: false)
            let offered = turn.choose(among: three)
            #expect(offered.count == left)
            #expect(turn.connected(to: offered[0]))
            #expect(turn.failed() == (left > 1))
        }
    }

    @Test("if none connects, all that were offered have failed")
    func noneConnects() {
        let turn = AddressRotation()
        turn.begin(again: false)
        #expect(turn.choose(among: Array(addresses.prefix(3))).count == 3)
        #expect(!turn.failed())
    }

    @Test("a dial tries eight addresses and no ninth")
    func bounded() {
        let turn = AddressRotation()
        for number in 1...AddressRotation.maximumTries {
            turn.begin(again: false)
            #expect(turn.connected(to: turn.choose(among: addresses)[0]))
            #expect(turn.failed() == (number < AddressRotation.maximumTries))
        }
    }

    @Test("of two connections in the same moment the first one counts")
    func oneWins() {
        let turn = AddressRotation()
        turn.begin(again: false)
        #expect(turn.connected(to: addresses[0]))
        #expect(!turn.connected(to: addresses[1]))
        #expect(turn.connected == addresses[0])
    }

    @Test("the next leg of a proxy's exchange goes to the same address")
    func pinned() {
        let turn = AddressRotation()
        turn.begin(again: false)
        _ = turn.choose(among: addresses)
        #expect(turn.connected(to: addresses[4]))
        turn.begin(again: true)
        #expect(turn.choose(among: addresses) == [addresses[4]])
        // It is gone meanwhile: the others are left.
        #expect(turn.failed())
        turn.begin(again: false)
        #expect(!turn.choose(among: addresses).contains(addresses[4]))
    }

    @Test("the next dial begins with addresses that have not failed, and a session clears the name of one")
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
        // That one does not connect any more: the suspect has its turn.
        #expect(second.failed())
        second.begin(again: false)
        #expect(second.choose(among: two) == [two[0]])
        #expect(second.connected(to: two[0]))
        second.succeeded()
        let third = AddressRotation(suspects)
        third.begin(again: false)
        #expect(third.choose(among: two) == two)
    }

    @Test("suspicion ends after ten minutes, and 64 addresses are suspected at a time")
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

    /// What the first address of the server's name does to a client.
    struct Trouble: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let hop: DialError.Hop
        let serve: @Sendable (TCPSocket) throws -> Void

        init(_ name: String, _ hop: DialError.Hop, _ serve: @escaping @Sendable (TCPSocket) throws -> Void) {
            (testDescription, self.hop, self.serve) = (name, hop, serve)
        }
    }

    static let troubles = [
        Trouble("it closes without a word", .upgrade) { _ = try $0.receive() },
        Trouble("it answers 502", .upgrade) {
            _ = try $0.receive()
            try $0.send("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            _ = try $0.receiveToEnd()
        },
        Trouble("it answers 404", .upgrade) {
            _ = try $0.receive()
            try $0.send("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            _ = try $0.receiveToEnd()
        },
        Trouble("it speaks something else", .upgrade) {
            try $0.send("SSH-2.0-OpenSSH_9.2\r\n")
            _ = try $0.receiveToEnd()
        },
        Trouble("it says nothing", .upgrade) { _ = try $0.receiveToEnd() },
        Trouble("it upgrades and closes", .session) { _ = try WirePeer.answer($0) },
        Trouble("it upgrades and says nothing", .session) { _ = try WirePeer.answer($0).socket.receiveToEnd() },
    ]

    @Test("the next address is dialled if the first one gives no session, and the log names it", arguments: troubles)
    func nextAddress(trouble: Trouble) async throws {
        try await RunningServer.with { server in
            let bad = try TCPService(port: server.port, address: "127.0.0.2") { try trouble.serve($0) }
            try await Self.client(["127.0.0.2", "127.0.0.1"], server.port) { client in
                _ = try await client.tunnels.next("the tunnel is public")
                #expect(bad.accepted == 1)
                let line = "ws://twin.test:\(server.port)/tunnel at 127.0.0.2:\(server.port): \(trouble.hop.rawValue): "
                #expect(client.log.count(line) == 1, "\(client.log.text)")
                #expect(client.log.count("trying another address of the same name") == 1)
            }
        }
    }

    @Test("a server that refuses the token ends the turn: no other address is asked")
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

    @Test("if all addresses refuse the connection, the error names them")
    func nobodyListens() async throws {
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

    @Test("a proxy's next address is dialled if the first one does not answer CONNECT")
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

    @Test("a proxy that answers CONNECT ends the turn, whatever it says")
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

    /// A client whose `twin.test` has these addresses, in this order.
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
