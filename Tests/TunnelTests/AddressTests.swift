import NIOCore
import NetworkAddress
import Testing

@testable import TunnelClient
@testable import TunnelCore

@Suite("Addresses in the user's spelling")
struct AddressTests {
    @Test(
        "A server's URL is normalised",
        arguments: [
            ("wss://tunnel.example", "wss://tunnel.example/tunnel"),
            ("ws://127.0.0.1:9101", "ws://127.0.0.1:9101/tunnel"),
            ("https://tunnel.example/", "wss://tunnel.example/tunnel"),
            ("http://tunnel.example:80/x", "ws://tunnel.example/x"),
            ("WSS://[::1]:8443/a/b?c=d", "wss://[::1]:8443/a/b?c=d"),
            ("wss://tunnel.example:443", "wss://tunnel.example/tunnel"),
            ("ws://h?q", "ws://h/?q"),
        ]
    )
    func endpoint(text: String, expected: String) throws {
        #expect(try EndpointURL(text).description == expected)
    }

    @Test(
        "An invalid server URL is refused",
        arguments: [
            "", "tunnel.example", "ftp://x", "ws://", "ws:///tunnel", "ws://x:", "ws://x:65536", "ws://x:0",
            "ws://x:-1",
            "ws://[::1", "ws://[g::1]", "ws://::1", "ws://a b", "ws://x#y", "wss://user:secret@x", "ws://x:80:80",
            "ws://é",
        ]
    )
    func notAnEndpoint(text: String) {
        #expect(throws: EndpointURL.Malformed.self) { try EndpointURL(text) }
    }

    @Test("A7 the error of a URL with a secret does not repeat the secret")
    func secretsInURLsAreNotRepeated() {
        #expect { try EndpointURL("wss://user:hunter2@x") } throws: { !"\($0)".contains("hunter2") }
    }

    @Test(
        "-R has ssh's syntax",
        arguments: [
            ("8022:localhost:22", "8022:localhost:22"), ("127.0.0.1:8022:localhost:22", "127.0.0.1:8022:localhost:22"),
            ("[::1]:8022:[::1]:22", "[::1]:8022:[::1]:22"), ("0:localhost:22", "0:localhost:22"),
            ("8022:22", "8022:localhost:22"), ("*:8022:db.internal:5432", "*:8022:db.internal:5432"),
        ]
    )
    func remoteForward(text: String, expected: String) throws {
        #expect(try TunnelSpec(text).description == expected)
    }

    @Test(
        "An invalid -R is refused",
        arguments: [
            "", ":", "8022:", "8022:x", "0x1f", "80 22", "8022:localhost:0", "65536:localhost:22",
            "8022:localhost:65536",
            "1:2:3:4:5", "[::1:8022:x:22", "8022::22", "8022:local host:22", "-1:localhost:22", "+1:localhost:22",
            "8022:[::1]x:22",
        ]
    )
    func impossibleForward(text: String) {
        #expect(throws: TunnelSpec.Malformed.self) { try TunnelSpec(text) }
    }

    @Test(
        "-R may lead to a Unix socket, and a port alone is a SOCKS proxy",
        arguments: [
            ("8022:/run/x.sock", 8_022, "", TunnelSpec.Target.unix(path: "/run/x.sock")),
            ("127.0.0.1:8022:/run/x.sock", 8_022, "127.0.0.1", .unix(path: "/run/x.sock")),
            ("1080", 1_080, "", .socks), ("127.0.0.1:1080", 1_080, "127.0.0.1", .socks), ("[::1]:0", 0, "::1", .socks),
        ]
    )
    func otherTargets(text: String, port: UInt16, bind: String, target: TunnelSpec.Target) throws {
        let spec = try TunnelSpec(text)
        #expect(spec.port == port && spec.bind == bind && spec.target == target && spec.description == text)
    }

    @Test(
        "A path in -R or -L has one plain form",
        arguments: ["8022:/run//x", "8022:/run/../x", "8022:/", "8022:/run/x/", "1:2:3:/x", "x:y:/x", ":/x"]
    )
    func impossiblePath(text: String) {
        #expect(throws: TunnelSpec.Malformed.self) { try TunnelSpec(text) }
        #expect(throws: ForwardSpec.Malformed.self) { try ForwardSpec.list(text) }
    }

    @Test(
        "-L listens on loopback unless it says otherwise, and leads to a host or a path",
        arguments: [
            ("5432:db.internal:5432", ["127.0.0.1", "::1"], "5432:db.internal:5432"),
            ("5432:5433", ["127.0.0.1", "::1"], "5432:localhost:5433"),
            ("localhost:5432:db:1", ["127.0.0.1", "::1"], "5432:db:1"),
            ("*:5432:db:1", ["0.0.0.0", "::"], "*:5432:db:1"), (":5432:db:1", ["0.0.0.0", "::"], "*:5432:db:1"),
            ("[::1]:0:[2001:db8::1]:443", ["::1"], "[::1]:0:[2001:db8::1]:443"),
            ("192.0.2.1:80:/run/x.sock", ["192.0.2.1"], "192.0.2.1:80:/run/x.sock"),
            ("/tmp/x:/run/x.sock", [], "/tmp/x:/run/x.sock"), ("/tmp/x:db:1", [], "/tmp/x:db:1"),
            ("5353:dns.internal:53/udp", ["127.0.0.1", "::1"], "5353:dns.internal:53/udp"),
            ("*:5353:dns:53/udp", ["0.0.0.0", "::"], "*:5353:dns:53/udp"),
            ("[::1]:5353:[2001:db8::1]:53/udp", ["::1"], "[::1]:5353:[2001:db8::1]:53/udp"),
            ("/tmp/x:[::1]:1", [], "/tmp/x:[::1]:1"), ("/tmp/x:5432", [], "/tmp/x:localhost:5432"),
        ]
    )
    func localForward(text: String, addresses: [String], description: String) throws {
        let specs = try ForwardSpec.list(text)
        #expect(specs.count == 1 && specs[0].addresses == addresses && specs[0].description == description)
    }

    @Test(
        "An invalid -L or -D is refused",
        arguments: [
            "", "5432", ":", "x:y:z", "5432:db:0", "5432:db:65536", "5432:d b:1", "host.example:5432:db:1", "1:2:3:4:5",
            "127.1:5432:db:1", "5432:127.1:80", "0-1:x:0-1", "/tmp/x", "/tmp/x:/a:b:c", "/tmp/../x:db:1", "/tmp/x:db:0",
            "1-2:x:1", "[::1:5432:x:1", "5353/udp:x:53", "5353:x:53/sctp", "5353:x:/udp", "/tmp/x:x:53/udp",
            "5353:x/udp:53", "5353:x:53/udp/udp",
        ]
    )
    func impossibleLocalForward(text: String) {
        #expect(throws: ForwardSpec.Malformed.self) { try ForwardSpec.list(text) }
    }

    @Test("-D is a port, with or without an address")
    func dynamicForward() throws {
        #expect(try ForwardSpec.socks("1080").description == "1080")
        #expect(try ForwardSpec.socks("*:1080").addresses == ["0.0.0.0", "::"])
        #expect(try ForwardSpec.socks("[::1]:1080").description == "[::1]:1080")
        for text in ["", "x", "1080:x", "1:2:3", "65536", "host.example:1080"] {
            #expect(throws: ForwardSpec.Malformed.self) { try ForwardSpec.socks(text) }
        }
    }

    @Test("-L with a range of ports is a forward for each port")
    func localRange() throws {
        let specs = try ForwardSpec.list("8000-8002:db:9000-9002")
        #expect(specs.map(\.description) == ["8000:db:9000", "8001:db:9001", "8002:db:9002"])
    }

    @Test(
        "-R with ranges of ports creates a tunnel for each port",
        arguments: [
            ("8000-8002:localhost:9000-9002", ["8000:localhost:9000", "8001:localhost:9001", "8002:localhost:9002"]),
            ("127.0.0.1:8000-8001:[::1]:1-2", ["127.0.0.1:8000:[::1]:1", "127.0.0.1:8001:[::1]:2"]),
            ("8000-8001:22-23", ["8000:localhost:22", "8001:localhost:23"]), ("8000-8000:x:1", ["8000:x:1"]),
            ("65534-65535:x:65534-65535", ["65534:x:65534", "65535:x:65535"]),
        ]
    )
    func remoteRanges(text: String, expected: [String]) throws {
        #expect(try TunnelSpec.list(text).map(\.description) == expected)
    }

    @Test(
        "-R has UDP, and paths at either end",
        arguments: [
            ("5353:localhost:53/udp", ["5353:localhost:53/udp"]), ("5353:53/udp", ["5353:localhost:53/udp"]),
            ("[::1]:53:[::1]:5353/udp", ["[::1]:53:[::1]:5353/udp"]),
            ("53-54:x:53-54/udp", ["53:x:53/udp", "54:x:54/udp"]),
            ("/run/c/x:localhost:22", ["/run/c/x:localhost:22"]), ("/run/c/x:22", ["/run/c/x:localhost:22"]),
            ("/run/c/x:[::1]:22", ["/run/c/x:[::1]:22"]), ("/run/c/x:/run/y", ["/run/c/x:/run/y"]),
            ("8022:/run/y", ["8022:/run/y"]),
        ]
    )
    func remoteForms(text: String, expected: [String]) throws {
        let tunnels = try TunnelSpec.list(text)
        #expect(tunnels.map(\.description) == expected)
        #expect(tunnels.allSatisfy { ($0.transport == .udp) == text.hasSuffix("/udp") })
        #expect(tunnels.allSatisfy { $0.isAtPath == text.hasPrefix("/") })
    }

    @Test(
        "Impossible forms of -R with UDP and paths are refused",
        arguments: [
            "/run/c/x", "/run/c/x:", "/run/c/x:localhost", "/run/c/x:localhost:0", "/run/c/x:localhost:1-2",
            "/run/c/x:localhost:53/udp", "/run/c/x:1:localhost:22", "/run/../x:22", "/run//x:22", "/:22", "1080/udp",
            "8022:/run/y/udp:", "53:x:53/tcp", "53:x:53/udp/udp", "53/udp:x:53", "53:x/udp:53",
            "/\(String(repeating: "a", count: 107)):22",
        ]
    )
    func impossibleRemoteForm(text: String) {
        #expect(throws: TunnelSpec.Malformed.self) { try TunnelSpec.list(text) }
    }

    @Test(
        "Invalid ranges of -R are refused",
        arguments: [
            "8000-8010:localhost:22", "8000:localhost:8000-8010", "8000-8010:localhost:8000-8011", "9-1:x:9-1",
            "0-10:x:0-10", "0-1:x:1-2", "8000-:x:1-2", "-8000:x:1", "1-2-3:x:1-2-3", "65535-65536:x:1-2",
        ]
    )
    func impossibleRange(text: String) {
        #expect(throws: TunnelSpec.Malformed.self) { try TunnelSpec.list(text) }
    }

    @Test(
        "Two forwards collide if the server can give their port to only one",
        arguments: [
            ("1:x:1", "1:y:2", true), ("1:x:1", "2:x:1", false), ("0:x:1", "0:x:1", false),
            ("127.0.0.1:1:x:1", "1:x:1", true), ("127.0.0.1:1:x:1", "127.0.0.2:1:x:1", false),
            ("localhost:1:x:1", "[::1]:1:x:1", true), ("*:1:x:1", "127.0.0.1:1:x:1", true),
            ("[0:0::1]:1:x:1", "[::1]:1:x:1", true), ("5-9:x:5-9", "9:x:1", true), ("5-9:x:5-9", "10:x:1", false),
            ("1:x:1", "1:x:1/udp", false), ("1:x:1/udp", "1:y:2/udp", true), ("/a:1", "/a:2", true),
            ("/a:1", "/b:1", false), ("/a:1", "0:x:1", false),
        ]
    )
    func collisions(one: String, two: String, collide: Bool) throws {
        let (one, two) = (try TunnelSpec.list(one), try TunnelSpec.list(two))
        #expect((TunnelSpec.collision(one, two) != nil) == collide)
        #expect((TunnelSpec.collision(two, one) != nil) == collide)
    }

    @Test(
        "Two forwards collide if they listen on the same port of an address, or at the same path",
        arguments: [
            (["1:x:1", "1:y:2"], true), (["1:x:1", "2:x:1"], false), (["0:x:1", "0:x:1"], false),
            (["*:1:x:1", "1:x:1"], true), (["127.0.0.1:1:x:1", "127.0.0.2:1:x:1"], false),
            (["127.0.0.1:1:x:1", "[::1]:1:x:1"], false), (["1:x:1", "[::1]:1:x:1"], true),
            (["1:x:1/udp", "1:x:1"], false), (["1:x:1/udp", "1:y:1/udp"], true), (["5-9:x:5-9", "9:x:1"], true),
            (["/run/a:x:1", "/run/a:y:1"], true), (["/run/a:x:1", "/run/b:x:1"], false),
        ]
    )
    func localCollisions(texts: [String], collide: Bool) throws {
        let forwards = try texts.flatMap { try ForwardSpec.list($0) }
        #expect((ForwardCollision(in: forwards) != nil) == collide)
        #expect((ForwardCollision(in: forwards.reversed()) != nil) == collide)
    }

    @Test(
        "A listen address is parsed, and loopback is recognised",
        arguments: [
            ("127.0.0.1:8080", "127.0.0.1:8080", true), ("[::1]:80", "[::1]:80", true), (":80", "0.0.0.0:80", false),
            ("*:80", "0.0.0.0:80", false), ("localhost:0", "localhost:0", true), ("0.0.0.0:1", "0.0.0.0:1", false),
            ("unix:/run/c.sock", "unix:/run/c.sock", true), ("192.0.2.1:1", "192.0.2.1:1", false),
        ]
    )
    func listenAddress(text: String, expected: String, isLocal: Bool) throws {
        let address = try #require(ListenAddress(text))
        #expect(address.description == expected)
        #expect(address.isLocal == isLocal)
    }

    @Test(
        "An invalid listen address is refused",
        arguments: [
            "", "8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "::1:80", "name.example:80", "unix:relative",
            "[127.0.0.1]:1",
        ]
    )
    func notAListenAddress(text: String) {
        #expect(ListenAddress(text) == nil)
    }

    @Test(
        "A socket address has its IP address and a short form",
        arguments: [
            ("203.0.113.9", 80, "203.0.113.9:80"), ("127.0.0.1", 40_001, "127.0.0.1:40001"),
            ("255.255.255.255", 65_535, "255.255.255.255:65535"), ("0.0.0.0", 0, "0.0.0.0:0"),
            ("10.100.1.90", 1_009, "10.100.1.90:1009"), ("2001:db8::1", 80, "[2001:db8::1]:80"),
            ("::1", 65_535, "[::1]:65535"), ("::ffff:192.0.2.1", 80, "[::ffff:192.0.2.1]:80"),
        ]
    )
    func socketAddress(text: String, port: Int, short: String) throws {
        let address = try SocketAddress(ipAddress: text, port: port)
        #expect(address.ip == IPAddress(text))
        #expect(address.inShort == short)
    }

    @Test("A unix socket has no IP address, and its short form is the path")
    func unixAddress() throws {
        let address = try SocketAddress(unixDomainSocketPath: "/run/x.sock")
        #expect(address.ip == nil)
        #expect(address.inShort == "/run/x.sock")
    }
}
