import Mux
import NetworkAddress
import Testing

@testable import TunnelServer

@Suite("Which ports and addresses a client may have")
struct BindPolicyTests {
    private let client = ClientRights(
        name: "test",
        verifier: Token.none.credentials().verifier,
        allowedPorts: PortRanges(ranges: [8_000...8_100])
    )

    private func addresses(
        _ address: String,
        _ port: UInt16,
        on publicAddresses: [String],
        allowsLoopback: Bool = true
    ) throws -> [String] {
        try BindPolicy(
            publicAddresses: publicAddresses,
            serverPorts: .unprivileged,
            clientPorts: client.allowedPorts,
            allowsLoopback: allowsLoopback
        )
        .addresses(for: BindRequest(tunnel: 0, address: address, port: port))
    }

    @Test(
        "P1 a port outside the client's ranges is refused, at both ends of them",
        arguments: [7_999, 8_101, 80, 65_535]
    )
    func portsOutsideAreRefused(port: UInt16) {
        #expect { try addresses("", port, on: ["0.0.0.0", "::"]) } throws: {
            ($0 as? Refusal)?.code == .portNotAllowed
        }
    }

    @Test("a client may narrow the server's addresses", arguments: ["127.0.0.1", "::1", "192.0.2.7"])
    func narrowing(address: String) throws {
        #expect(try addresses(address, 8_000, on: ["0.0.0.0", "::"]) == [address])
    }

    private static let loopbackForms = [
        "127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1", "::ffff:7f00:2", "localhost",
    ]

    @Test("loopback is for clients that may have it, in each of its forms", arguments: loopbackForms)
    func loopback(address: String) throws {
        #expect(try !addresses(address, 8_000, on: ["0.0.0.0", "::"]).isEmpty)
        #expect {
            try addresses(address, 8_000, on: ["0.0.0.0", "::"], allowsLoopback: false)
        } throws: {
            ($0 as? Refusal)?.code == .portNotAllowed && "\($0)".contains("allow_loopback = true")
        }
    }

    @Test("what is not loopback needs no such right", arguments: ["", "*", "0.0.0.0", "::", "192.0.2.7", "128.0.0.1"])
    func notLoopback(address: String) throws {
        #expect(try !addresses(address, 8_000, on: ["0.0.0.0", "::"], allowsLoopback: false).isEmpty)
    }

    @Test("loopback among the addresses of a client is left out without the right")
    func loopbackAmongAddresses() throws {
        let policy = BindPolicy(
            publicAddresses: ["0.0.0.0", "::"],
            serverPorts: .unprivileged,
            clientPorts: nil,
            clientAddresses: ["127.0.0.1", "192.0.2.7"]
        )
        let request = BindRequest(tunnel: 0, address: "", port: 8_000)
        #expect(try policy.addresses(for: request) == ["192.0.2.7"])
    }

    @Test("the right is an entry's own, or everybody's if the public address is loopback or there is no token")
    func whoMayHaveLoopback() {
        var configuration = ServerConfiguration()
        #expect(client.policy(configuration).allowsLoopback)
        configuration.clients = [client]
        #expect(!client.policy(configuration).allowsLoopback)
        for (address, isLoopback) in [
            ("127.0.0.1", true), ("::1", true), ("localhost", true), ("127.0.0.2", true), ("192.0.2.7", false),
            ("0.0.0.0", false),
        ] {
            configuration.publicAddress = address
            #expect(client.policy(configuration).allowsLoopback == isLoopback, "\(address)")
        }
        var other = client
        other.allowsLoopback = true
        #expect(other.policy(configuration).allowsLoopback)
    }

    @Test("a client may not widen them", arguments: ["0.0.0.0", "::", "192.0.2.7", "127.0.0.2"])
    func wideningIsRefused(address: String) {
        #expect { try addresses(address, 8_100, on: ["127.0.0.1", "::1"]) } throws: {
            ($0 as? Refusal)?.code == .portNotAllowed
        }
    }

    @Test(
        "X13 what is no address of one host is refused without asking a resolver",
        arguments: [
            "tunnel.example", "127.1", "0x7f000001", "224.0.0.1", "255.255.255.255", "ff02::1", " ::1",
        ]
    )
    func noAddress(address: String) {
        #expect { try addresses(address, 8_000, on: ["0.0.0.0", "::"]) } throws: {
            ($0 as? Refusal)?.code == .portNotAllowed
        }
    }

    @Test("a client's ports are its own within the server's")
    func portsWithinPorts() throws {
        let server = try #require(PortRanges("8000-8010,9000"))
        let client = try #require(PortRanges("8005-8020,9000-9001"))
        #expect(server.intersection(client).description == "8005-8010,9000")
        #expect(server.intersection(PortRanges(ranges: [1...7_999])).ranges.isEmpty)
    }

    @Test("no address and a star mean the server's own choice", arguments: ["", "*"])
    func serversOwnChoice(address: String) throws {
        #expect(try addresses(address, 0, on: ["127.0.0.1", "::1"]) == ["127.0.0.1", "::1"])
    }

    @Test("A10 a server without a token starts on loopback only, and its public ports are there too")
    func withoutATokenOnlyLoopback() {
        var configuration = ServerConfiguration()
        #expect(configuration.problem == nil)
        #expect(configuration.publicAddresses == ["127.0.0.1", "::1"])
        configuration.listen.append(.tcp(host: "0.0.0.0", port: 80))
        #expect(configuration.problem?.contains("without a token") ?? false)
        configuration.clients = [client]
        #expect(configuration.problem == nil)
        #expect(configuration.publicAddresses == ["0.0.0.0", "::"])
    }
}
