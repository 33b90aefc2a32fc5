import Mux
import NetworkAddress
import Testing

@testable import TunnelServer

@Suite("Ports and addresses that a client may bind")
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
        "P1 a port outside the client's ranges is refused",
        arguments: [7_999, 8_101, 80, 65_535]
    )
    func portsOutsideAreRefused(port: UInt16) {
        #expect { try addresses("", port, on: ["0.0.0.0", "::"]) } throws: {
            ($0 as? Refusal)?.code == .portNotAllowed
        }
    }

    @Test("A client may bind a subset of the server's addresses", arguments: ["127.0.0.1", "::1", "192.0.2.7"])
    func narrowing(address: String) throws {
        #expect(try addresses(address, 8_000, on: ["0.0.0.0", "::"]) == [address])
    }

    private static let loopbackForms = [
        "127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1", "::ffff:7f00:2", "localhost",
    ]

    @Test("Each form of loopback needs the right to loopback", arguments: loopbackForms)
    func loopback(address: String) throws {
        #expect(try !addresses(address, 8_000, on: ["0.0.0.0", "::"]).isEmpty)
        #expect {
            try addresses(address, 8_000, on: ["0.0.0.0", "::"], allowsLoopback: false)
        } throws: {
            ($0 as? Refusal)?.code == .portNotAllowed && "\($0)".contains("allow_loopback = true")
        }
    }

    @Test("Other addresses need no right to loopback", arguments: ["", "*", "0.0.0.0", "::", "192.0.2.7", "128.0.0.1"])
    func notLoopback(address: String) throws {
        #expect(try !addresses(address, 8_000, on: ["0.0.0.0", "::"], allowsLoopback: false).isEmpty)
    }

    @Test("Without the right, loopback is removed from a client's addresses")
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

    @Test(
        "The right to loopback is set per client; all have it if the public address is loopback or there is no token"
    )
    func loopbackRight() {
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

    @Test(
        "A client may not bind addresses beyond the server's",
        arguments: ["0.0.0.0", "::", "192.0.2.7", "127.0.0.2"]
    )
    func wideningIsRefused(address: String) {
        #expect { try addresses(address, 8_100, on: ["127.0.0.1", "::1"]) } throws: {
            ($0 as? Refusal)?.code == .portNotAllowed
        }
    }

    @Test(
        "X13 a bind address that is not one literal address is refused without a lookup",
        arguments: [
            "tunnel.example", "127.1", "0x7f000001", "224.0.0.1", "255.255.255.255", "ff02::1", " ::1",
        ]
    )
    func noAddress(address: String) {
        #expect { try addresses(address, 8_000, on: ["0.0.0.0", "::"]) } throws: {
            ($0 as? Refusal)?.code == .portNotAllowed
        }
    }

    /// The paths that a request for one gets.
    private func paths(_ request: BindRequest, in folder: String?) throws -> [String] {
        try BindPolicy(
            publicAddresses: ["0.0.0.0"],
            serverPorts: .unprivileged,
            clientPorts: nil,
            unixDirectory: folder
        )
        .addresses(for: request)
    }

    @Test("A Unix socket lies directly in the folder, with or without a final slash", arguments: ["/run/c", "/run/c/"])
    func socketsInFolder(folder: String) throws {
        for name in ["x", ".x", "x-y"] {
            let request = BindRequest(tunnel: 0, address: "/run/c/\(name)", port: 0)
            #expect(try paths(request, in: folder) == ["/run/c/\(name)"])
        }
    }

    @Test(
        "No path leaves the folder, whatever a client writes",
        arguments: [
            "/run/x", "/run/c", "/run/c/", "/run/c/..", "/run/c/../x", "/run/c/./x", "/run/c//x", "/run/c/d/x",
            "/run/cx",
            "//run/c/x", "/", "/run/c/\(String(repeating: "a", count: 101))", "/run/c/a b", "/run/C/x",
        ]
    )
    func socketsOutside(path: String) {
        #expect { try paths(BindRequest(tunnel: 0, address: path, port: 0), in: "/run/c") } throws: {
            ($0 as? Refusal)?.code == .portNotAllowed
        }
    }

    @Test("A Unix socket has no port and no datagrams, and none is bound without a folder")
    func impossibleSockets() {
        for (port, kind, folder) in [(UInt16(1), StreamKind.tcp, "/run/c"), (0, .udp, "/run/c"), (0, .tcp, nil)] {
            let request = BindRequest(tunnel: 0, address: "/run/c/x", port: port, kind: kind)
            #expect { try paths(request, in: folder) } throws: { ($0 as? Refusal)?.code == .portNotAllowed }
        }
    }

    @Test("A client's ports are the intersection of its own and the server's")
    func portsWithinPorts() throws {
        let server = try #require(PortRanges("8000-8010,9000"))
        let client = try #require(PortRanges("8005-8020,9000-9001"))
        #expect(server.intersection(client).description == "8005-8010,9000")
        #expect(server.intersection(PortRanges(ranges: [1...7_999])).ranges.isEmpty)
    }

    @Test("An empty address and a star select the server's addresses", arguments: ["", "*"])
    func serversOwnChoice(address: String) throws {
        #expect(try addresses(address, 0, on: ["127.0.0.1", "::1"]) == ["127.0.0.1", "::1"])
    }

    @Test("A10 a server without a token starts on loopback only, with public ports on loopback")
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
