import Mux
import Testing

@testable import Tunnel

@Suite("Which ports and addresses a client may have")
struct BindPolicyTests {
    private let client = ClientRights(
        name: "test",
        verifier: Token.none.credentials().verifier,
        allowedPorts: PortRanges(ranges: [8_000...8_100])
    )

    private func addresses(_ address: String, _ port: UInt16, on publicAddresses: [String]) throws -> [String] {
        try BindPolicy(
            publicAddresses: publicAddresses,
            serverPorts: .unprivileged,
            clientPorts: client.allowedPorts
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
