import NIOCore
import NIOEmbedded
import NetworkAddress
import ProxyConnect
import TestSupport
import Testing

@testable import Mux
@testable import TunnelClient
@testable import TunnelCore

/// The destinations that a client dials for its services (the S rows).
///
/// S3 has no test here, because a server dials only the backend that its operator has named.
@Suite("Destinations of services")
struct ServiceTests {
    @Test(
        "S2 S4 a service in an ambiguous spelling of an address, or with a file path, is refused",
        arguments: [
            "127.1", "0x7f.1", "0x7f000001", "0177.0.0.1", "2130706433", "127.0.0.1.", "127.0.0.01", "1.2.3.4.5", "010",
            "host.0x1", "host.1", "[::ffff:1.2.3]", "[::1%]x", "[fe80::1%a b]", "unix", "/run/x.sock",
            "file", "a/b", "a@b", "a?b", "a b", "a\u{7}b", "\u{FF11}27.0.0.1", "..", "a..b", "",
        ]
    )
    func noHost(host: String) {
        // `unix:/run/x` has a path instead of a host and a port.
        let text = host == "unix" || host == "file" ? "1:\(host):/run/x.sock" : "1:\(host):22"
        #expect(throws: TunnelSpec.Malformed.self) { try TunnelSpec(text) }
    }

    @Test(
        "S2 names, and addresses in their canonical form, are accepted",
        arguments: [
            "localhost", "db.internal", "a_b", "xn--4ca.example", "host1", "10.0.0.1", "[::1]", "[fe80::1%eth0]", "1a",
            "[::ffff:192.0.2.1]", "db.internal.",
        ]
    )
    func host(host: String) throws {
        #expect(try TunnelSpec("1:\(host):22").service.hasSuffix(":22"))
    }

    @Test(
        "S2 a name that resolves to a link-local, multicast, unspecified or metadata address is not dialled",
        arguments: [
            ("169.254.169.254", false), ("169.253.255.255", true), ("169.255.0.0", true), ("0.0.0.0", false),
            ("0.1.2.3", false), ("224.0.0.1", false), ("239.255.255.255", false), ("255.255.255.255", false),
            ("240.0.0.1", true), ("127.0.0.1", true), ("10.0.0.1", true), ("192.168.1.1", true), ("::", false),
            ("::1", true), ("fe80::1", false), ("febf::1", false), ("fec0::1", true), ("ff02::1", false),
            ("fd00:ec2::254", false), ("fd00:ec2::253", true), ("::ffff:169.254.169.254", false),
            ("::ffff:10.0.0.1", true), ("2001:db8::1", true), ("168.63.129.16", false), ("168.63.129.17", true),
            ("100.100.100.200", false), ("100.100.100.199", true), ("192.0.0.192", false), ("192.0.0.193", true),
            ("fd00:ec2::23", false), ("fd20:ce::254", false), ("fd20:ce::253", true), ("fd00:c1::a9fe:a9fe", false),
            ("fd00:42::42", false), ("::ffff:100.100.100.200", false), ("64:ff9b::a9fe:a9fe", false),
            ("64:ff9b::169.254.0.1", false), ("64:ff9b::168.63.129.16", false), ("64:ff9b::203.0.113.1", true),
            ("64:ff9b:1::169.254.169.254", false), ("64:ff9b:1:a9fe:a9:fe00::", false),
            ("64:ff9b:1:a9:fe:a9fe::", false), ("64:ff9b:1:5:a9:fea9:fe00:0", false), ("64:ff9b:1::10.0.0.1", true),
            ("64:ff9b:2::169.254.169.254", true), ("2002:a9fe:a9fe::1", false), ("2002:a83f:8110::", false),
            ("2002:cb00:7101::1", true), ("::169.254.169.254", false), ("::ffff:0:169.254.169.254", false),
            ("2001:0:1:2:3:4:5601:5601", false), ("2001:0:1:2:3:4:f5ff:fffe", true),
            ("2001:db8::5efe:169.254.169.254", false), ("2001:db8::200:5efe:a9fe:a9fe", false),
            ("2001:db8::5efe:10.0.0.1", true),
        ]
    )
    func resolved(text: String, isDialled: Bool) throws {
        #expect(try #require(IPAddress(text)).mayBeService == isDialled)
        let channel = EmbeddedChannel(handler: ServiceAddressGuard())
        let result = Result { try channel.connect(to: SocketAddress(ipAddress: text, port: 80)).wait() }
        #expect(((try? result.get()) != nil) == isDialled)
        #expect(channel.isActive == isDialled)
    }

    @Test("S2 the log has the forbidden address, and the server only receives `unreachable`")
    func reason() {
        let forbidden = ServiceAddressGuard.Forbidden(address: "169.254.169.254")
        #expect(EgressFailure.code(forbidden) == .unreachable)
    }
}

extension HostileTests {
    /// The effect of a hostile server on a client's services.
    @Suite(.serialized)
    struct ServiceFloodTests {
        @Test("M10 after 1,000 streams that are opened and reset at once, the session continues and a new stream works")
        func rapidReset() async throws {
            let service = try TCPService.echo()
            let done = Mailbox<Void>()
            let server = try HostileServer { peer in
                try peer.send(peer.grant(), WirePeer.bound())
                try peer.socket.send(
                    (1...1_000).flatMap { number in
                        let id = StreamID(UInt32(number) * 2)
                        return try peer.encode(WirePeer.open(id.rawValue))
                            + peer.encode(ResetCode.connectionReset.frame(id, after: .max))
                    }
                )
                try peer.send(WirePeer.open(2_002), OutboundFrame(.data, StreamID(2_002), ByteBuffer(string: "alive")))
                while try peer.frame(.data).header.stream != StreamID(2_002) {}
                done.put(())
                _ = try peer.readToEnd()
            }
            try await server.withClient(to: service.port) { client in
                try await done.next("a later stream works")
                #expect(client.ends.all.isEmpty && client.log.count("session lost") == 0)
            }
        }

        @Test("M8 S1 S3 a server's BIND ends the session, and the client connects to no service")
        func bindFromServer() async throws {
            let service = try TCPService.echo()
            let ends = Mailbox<Void>()
            let server = try HostileServer { peer in
                try peer.send(peer.grant(), WirePeer.bound(), WirePeer.bindRequest(service.port))
                _ = try peer.readToEnd()
                ends.put(())
            }
            try await server.withClient { _ in
                try await ends.next("the session ends")
                #expect(service.accepted == 0)
            }
        }

        @Test("M2 a server with another version ends the client, and the line names the end to upgrade")
        func version() async throws {
            let server = try HostileServer { peer in
                let challenge = Challenge(versions: [99], nonce: randomBytes(32), software: "x")
                try peer.send(OutboundFrame(.challenge, .session, challenge.payload))
                _ = try peer.readToEnd()
            }
            try await server.withClient { client in
                let end = try await client.ends.next("the client ends")
                #expect(end.hasPrefix("not ours: ") && end.contains("upgrade the client"), "\(end)")
                #expect(server.dials == 1)
            }
        }
    }
}
