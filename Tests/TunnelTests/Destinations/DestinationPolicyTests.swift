import NetworkAddress
import Testing

@testable import TunnelCore

@Suite("Destinations that a client may name")
struct DestinationPolicyTests {
    /// The verdict on a destination, with the addresses to which its name leads.
    private func verdict(
        _ rules: [String],
        _ destination: String,
        leadsTo addresses: [String] = [],
        _ transport: StreamTransport = .tcp,
        own: DestinationPolicy.Own = .init()
    ) throws -> String {
        let policy = DestinationPolicy(try rules.map { try #require(DestinationRule($0), "\($0)") }, own: own)
        guard let destination = Destination(destination) else { return "malformed" }
        switch policy.decide(destination, transport) {
        case .denied: return "denied"
        case .path(let path): return path
        case .addresses(let addresses): return addresses.map(\.description).joined(separator: " ")
        case .lookUp(let lookup):
            let found = try addresses.map { try #require(IPAddress($0)) }
            let permitted = policy.permitted(found, of: lookup)
            return "\(lookup.name): \(permitted.map(\.description).joined(separator: " "))"
        }
    }

    static let everything = ["*:*", "0.0.0.0/0:*", "[::]/0:*"]

    @Test(
        "A destination is allowed by its name as written or by its address, and by nothing else",
        arguments: [
            ([], "192.0.2.7:80", "", "denied"),
            ([], "db.internal:80", "192.0.2.7", "denied"),
            (["db.internal:5432"], "db.internal:5432", "10.0.0.7", "db.internal: 10.0.0.7"),
            (["db.internal:5432"], "DB.Internal.:5432", "10.0.0.7", "db.internal: 10.0.0.7"),
            (["DB.internal.:5432"], "db.internal:5432", "10.0.0.7", "db.internal: 10.0.0.7"),
            (["db.internal:5432"], "db.internal:5433", "10.0.0.7", "denied"),
            (["db.internal:5432"], "xdb.internal:5432", "10.0.0.7", "denied"),
            (["db.internal:5432"], "db.internal.evil.example:5432", "10.0.0.7", "denied"),
            (["db.internal:5432"], "10.0.0.7:5432", "", "denied"),
            (["*.internal:443"], "a.b.internal:443", "10.0.0.7", "a.b.internal: 10.0.0.7"),
            (["*.internal:443"], "internal:443", "10.0.0.7", "denied"),
            (["*.internal:443"], "ainternal:443", "10.0.0.7", "denied"),
            (["10.1.0.0/16:*"], "10.1.255.1:22", "", "10.1.255.1"),
            (["10.1.0.0/16:*"], "10.2.0.1:22", "", "denied"),
            (["10.1.0.0/16:*"], "name.example:22", "10.2.0.1 10.1.0.9 10.1.0.8", "name.example: 10.1.0.9 10.1.0.8"),
            (["10.1.0.0/16:*"], "name.example:22", "203.0.113.9", "name.example: "),
            (["10.1.0.0/16:*"], "[::ffff:10.1.0.1]:22", "", "10.1.0.1"),
            (["[2001:db8::]/32:443"], "[2001:db8:1::1]:443", "", "2001:db8:1::1"),
            (["[2001:db8::]/32:443"], "[2001:db9::1]:443", "", "denied"),
            (["192.0.2.7:80,8000-8010"], "192.0.2.7:8005", "", "192.0.2.7"),
            (["192.0.2.7:80,8000-8010"], "192.0.2.7:81", "", "denied"),
            (["*:443"], "example.com:443", "203.0.113.9", "example.com: 203.0.113.9"),
            (["*:443"], "203.0.113.9:443", "", "203.0.113.9"),
            (["*:443"], "203.0.113.9:80", "", "denied"),
        ]
    )
    func rules(_ rules: [String], _ destination: String, _ addresses: String, _ expected: String) throws {
        #expect(try verdict(rules, destination, leadsTo: addresses.split(separator: " ").map(String.init)) == expected)
    }

    /// Special addresses, and forms that some programs read as one.
    static let specialAddresses: [String] = [
        "127.0.0.1:80", "127.1.2.3:80", "[::1]:80", "[::ffff:127.0.0.1]:80", "[64:ff9b::127.0.0.1]:80",
        "[64:ff9b:1::7f00:1]:80", "[2002:7f00:1::]:80", "[2001:0:0:0:0:0:80ff:fffe]:80", "[fe80::5efe:7f00:1]:80",
        "[2001:db8::5efe:7f00:1]:80", "[::127.0.0.1]:80", "0.0.0.0:80", "0.1.2.3:80", "[::]:80",
        "[::ffff:0.0.0.0]:80", "169.254.169.254:80", "169.254.0.1:80", "[::ffff:169.254.169.254]:80",
        "[64:ff9b::a9fe:a9fe]:80", "[2002:a9fe:a9fe::1]:80", "[fe80::1]:80", "[febf::1]:80", "224.0.0.1:80",
        "239.255.255.250:80", "[ff02::1]:80", "[ff0e::1]:80", "255.255.255.255:80", "168.63.129.16:80",
        "100.100.100.200:80", "192.0.0.192:80", "[fd00:ec2::254]:80", "[fd00:ec2::23]:80", "[fd20:ce::254]:80",
        "[fd00:c1::a9fe:a9fe]:80", "[fd00:42::42]:80", "[64:ff9b::e000:1]:80", "[64:ff9b::0.0.0.0]:80",
    ]

    @Test(
        "A special address needs a rule that writes it, and no block, name or asterisk covers it",
        arguments: specialAddresses
    )
    func special(destination: String) throws {
        #expect(try verdict(Self.everything, destination) == "denied")
        let address = destination.dropLast(3)
        let plain = try #require(IPAddress(String(address)))
        let own = plain.unmapped
        let written = "\(own)".contains(":") ? "[\(own)]:80" : "\(own):80"
        #expect(try verdict([written], destination) == "\(own)")
        #expect(try verdict([written], String(destination.dropLast(2)) + "81") == "denied")
        #expect(
            try verdict(["evil.example:80"] + Self.everything + [written], "evil.example:80", leadsTo: ["\(plain)"])
                == "evil.example: "
        )
    }

    @Test(
        "Texts that programs read in different ways are no destinations",
        arguments: [
            "0:80", "2130706433:80", "0x7f000001:80", "0x7f.1:80", "127.1:80", "017700000001:80", "127.0.0.01:80",
            "127.0.0.1.:80", "1.2.3:80", "256.1.1.1:80", "[127.0.0.1]:80", "::1:80", "[::1%lo]:80", "[::1]80", "::",
            "localhost", "localhost:", "localhost:0", "localhost:65536", "localhost:+80", "localhost: 80", ":80",
            ".:80", "a..b:80", "-:0", "münchen.example:80", "a b:80", "a\nb:80", "a/b:80", "user@host:80", "a%00:80",
            "/", "//run/x", "/run//x", "/run/../x", "/run/./x", "/run/x/", "/run/x y", "run/x", "",
        ]
    )
    func malformed(text: String) throws {
        #expect(try verdict(Self.everything + ["localhost:*", "/run/*"], text) == "malformed")
    }

    @Test("localhost is both loopback addresses, and no other name leads there")
    func localhost() throws {
        #expect(try verdict(["localhost:80"], "localhost:80") == "127.0.0.1 ::1")
        #expect(try verdict(["localhost:80"], "LOCALHOST.:80") == "127.0.0.1 ::1")
        #expect(try verdict(["localhost:80"], "127.0.0.1:80") == "127.0.0.1")
        #expect(try verdict(["localhost:80"], "[::1]:80") == "::1")
        #expect(try verdict(["localhost:80"], "127.0.0.2:80") == "denied")
        #expect(try verdict(["127.0.0.1:80"], "localhost:80") == "127.0.0.1")
        #expect(try verdict(["[::1]:80"], "localhost:80") == "::1")
        #expect(try verdict(Self.everything, "localhost:80") == "denied")
        #expect(
            try verdict(["my.localhost:80", "127.0.0.1:80"], "my.localhost:80", leadsTo: ["127.0.0.1"])
                == "my.localhost: "
        )
    }

    @Test("A translator's address is allowed only if the IPv4 address behind it is")
    func translated() throws {
        #expect(try verdict(["[::]/0:80"], "[64:ff9b::a01:203]:80") == "denied")
        #expect(try verdict(["[::]/0:80", "10.1.0.0/16:80"], "[64:ff9b::a01:203]:80") == "64:ff9b::a01:203")
        #expect(
            try verdict(Self.everything, "name.example:80", leadsTo: ["64:ff9b::cb00:7109"])
                == "name.example: 64:ff9b::cb00:7109"
        )
    }

    @Test("A place of this process needs a rule that writes its address and its port")
    func ownPlaces() throws {
        let own = DestinationPolicy.Own(
            ports: [8_080],
            addresses: [.v4(0x0A00_0005)],
            paths: ["/run/culvert/admin.sock"]
        )
        for rules in [Self.everything, ["10.0.0.0/8:8080"], ["10.0.0.5:*"], ["10.0.0.5:8000-9000"]] {
            #expect(try verdict(rules, "10.0.0.5:8080", own: own) == "denied", "\(rules)")
        }
        #expect(try verdict(["10.0.0.5:8080"], "10.0.0.5:8080", own: own) == "10.0.0.5")
        #expect(try verdict(["10.0.0.5:*"], "10.0.0.5:80", own: own) == "10.0.0.5")
        #expect(try verdict(["10.0.0.0/8:8080"], "10.0.0.6:8080", own: own) == "10.0.0.6")
        #expect(
            try verdict(["srv.example:8080"], "srv.example:8080", leadsTo: ["10.0.0.5"], own: own) == "srv.example: "
        )
        #expect(try verdict(["localhost:*"], "localhost:8080", own: own) == "denied")
        #expect(try verdict(["localhost:8080"], "localhost:8080", own: own) == "127.0.0.1 ::1")
        #expect(try verdict(["localhost:8080"], "127.0.0.1:8080", own: own) == "127.0.0.1")
        #expect(try verdict(["/run/culvert/*"], "/run/culvert/admin.sock", own: own) == "denied")
        #expect(
            try verdict(["/run/culvert/admin.sock"], "/run/culvert/admin.sock", own: own) == "/run/culvert/admin.sock"
        )
    }

    @Test(
        "A translator's address of this machine is a place of this process",
        arguments: ["[64:ff9b::a00:5]", "[2002:a00:5::1]", "[64:ff9b:1::a00:5]", "[fe80::5efe:a00:5]"]
    )
    func translatedOwnPlaces(host: String) throws {
        let own = DestinationPolicy.Own(ports: [8_080], addresses: [.v4(0x0A00_0005)])
        let literal = String(host.dropFirst().dropLast())
        #expect(try verdict(Self.everything, "\(host):8080", own: own) == "denied")
        #expect(try verdict(Self.everything, "x.example:8080", leadsTo: [literal], own: own) == "x.example: ")
        #expect(try verdict(["\(host):*"], "\(host):8080", own: own) == "denied")
        #expect(try verdict(["\(host):8080"], "\(host):8080", own: own) == literal)
    }

    @Test("Paths are allowed one by one or by folder, without the folders below")
    func paths() throws {
        #expect(try verdict(["/run/postgresql/*"], "/run/postgresql/.s.PGSQL.5432") == "/run/postgresql/.s.PGSQL.5432")
        #expect(try verdict(["/run/postgresql/*"], "/run/postgresql/deep/x") == "denied")
        #expect(try verdict(["/run/postgresql/*"], "/run/postgresqlx") == "denied")
        #expect(try verdict(["/run/x.sock"], "/run/x.sock") == "/run/x.sock")
        #expect(try verdict(["/run/x.sock"], "/run/y.sock") == "denied")
        #expect(try verdict(Self.everything, "/run/x.sock") == "denied")
        #expect(try verdict(["/run/x.sock"], "/run/x.sock", .udp) == "denied")
        let long = "/" + String(repeating: "a", count: 106)
        #expect(try verdict([long], long) == long)
        #expect(Destination(long + "a") == nil)
    }

    @Test("A suffix narrows a rule to one transport")
    func transports() throws {
        #expect(try verdict(["192.0.2.7:53/udp"], "192.0.2.7:53") == "denied")
        #expect(try verdict(["192.0.2.7:53/udp"], "192.0.2.7:53", .udp) == "192.0.2.7")
        #expect(try verdict(["192.0.2.7:53/tcp"], "192.0.2.7:53", .udp) == "denied")
        #expect(try verdict(["192.0.2.7:53"], "192.0.2.7:53", .udp) == "192.0.2.7")
        #expect(try verdict(["10.0.0.0/8:53/udp"], "10.0.0.1:53", .udp) == "10.0.0.1")
    }

    @Test(
        "Texts that are no rules are refused",
        arguments: [
            "", "*", "db.internal", "db.internal:", "db.internal:0", "db.internal:x", "db.internal:8010-8000",
            "10.0.0.0/33:80", "10.0.0.0:80/icmp", "2001:db8::1:443", "[2001:db8::1:443", "127.1:80", "*.:80",
            "*.1.2.3.4:80",
            "*internal:80", "a b:80", "/run/../*", "/", "/*/x", "db.internal: 80",
        ]
    )
    func malformedRules(text: String) {
        #expect(DestinationRule(text) == nil)
    }
}
