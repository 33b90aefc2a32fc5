import Mux
import NetworkAddress
import Testing

@testable import TunnelCore
@testable import TunnelServer

@Suite("The visitor gate of a tunnel")
struct VisitorGateTests {
    private func time(_ seconds: Double) -> Instant { Instant(nanoseconds: UInt64(1e9 + seconds * 1e9)) }

    private func gate(_ change: (inout VisitorLimits) -> Void) -> VisitorGate {
        var limits = VisitorLimits()
        change(&limits)
        return VisitorGate(limits, rememberedAddresses: 4_096)
    }

    private func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

    @Test("Without limits all visitors are admitted, with or without a known address")
    func open() throws {
        var gate = gate { _ in }
        for _ in 0..<1_000 { #expect(gate.admit(nil, now: time(0)) == nil) }
        #expect(gate.visitors == 1_000)
    }

    @Test("X16 the limit of visitors counts all addresses, and one that leaves makes room")
    func connections() throws {
        var gate = gate { $0.connections = 2 }
        #expect(gate.admit(nil, now: time(0)) == nil)
        #expect(gate.admit(nil, now: time(0)) == nil)
        #expect(gate.admit(nil, now: time(0)) == .tooMany)
        gate.left()
        #expect(gate.admit(nil, now: time(0)) == nil)
        #expect(gate.admit(nil, now: time(0)) == .tooMany)
    }

    @Test("The rate applies to each address separately")
    func rate() throws {
        var gate = gate { $0.connectionsPerSecond = 3 }
        let (one, other) = (try address("192.0.2.1"), try address("192.0.2.2"))
        for _ in 0..<3 { #expect(gate.admit(one, now: time(0)) == nil) }
        #expect(gate.admit(one, now: time(0)) == .tooFast)
        #expect(gate.admit(try address("::ffff:192.0.2.1"), now: time(0)) == .tooFast)
        #expect(gate.admit(other, now: time(0)) == nil)
        #expect(gate.admit(one, now: time(0.3)) == .tooFast)
        #expect(gate.admit(one, now: time(0.4)) == nil)
    }

    @Test("A /64 of IPv6 counts as one address")
    func wideRate() throws {
        var gate = gate { $0.connectionsPerSecond = 1 }
        #expect(gate.admit(try address("2001:db8::1"), now: time(0)) == nil)
        #expect(gate.admit(try address("2001:db8::ffff:1"), now: time(0)) == .tooFast)
        #expect(gate.admit(try address("2001:db8:0:1::1"), now: time(0)) == nil)
    }

    @Test("Addresses beyond the remembered number share one count")
    func manyAddresses() throws {
        var gate = gate { $0.connectionsPerSecond = 1 }
        for number in 0..<4_096 {
            #expect(gate.admit(.v4(UInt32(number)), now: time(0)) == nil)
        }
        #expect(gate.admit(.v4(1 << 24), now: time(0)) == nil)
        #expect(gate.admit(.v4(1 << 25), now: time(0)) == .tooFast)
        // Addresses without recent visitors are removed.
        #expect(gate.admit(.v4(1 << 25), now: time(2)) == nil)
        #expect(gate.admit(.v4(1 << 26), now: time(2)) == nil)
    }

    @Test(
        "Denied blocks override allowed ones, and an unknown address is in no block",
        arguments: [
            ("10.1.2.3", true), ("10.0.0.1", false), ("::ffff:10.1.2.3", true), ("192.0.2.1", false),
            ("2001:db8::1", true),
            ("2001:db9::1", false), (nil, false),
        ]
    )
    func blocks(_ text: String?, _ isAllowed: Bool) throws {
        var gate = try gateOfBlocks()
        #expect(gate.admit(try text.map(address), now: time(0)) == (isAllowed ? nil : .denied))
    }

    private func gateOfBlocks() throws -> VisitorGate {
        let allow = try #require(VisitorLimits.blocks("10.0.0.0/8, 2001:db8::/32"))
        let deny = try #require(VisitorLimits.blocks("10.0.0.0/16"))
        return gate {
            $0.allow = allow
            $0.deny = deny
        }
    }

    @Test("A client's requested limits can only reduce the server's")
    func narrowed() throws {
        var own = VisitorLimits()
        own.connections = 10
        own.bandwidth = 1_000
        own.allow = try #require(VisitorLimits.blocks("10.0.0.0/8"))
        var requested = RequestedVisitorLimits()
        (requested.connections, requested.bandwidth, requested.idleSeconds) = (20, 500, 60)
        (requested.allow, requested.deny) = ("10.1.0.0/16,0.0.0.0/0", "10.1.1.1")
        let limits = try #require(own.narrowed(by: requested))
        #expect((limits.connections, limits.bandwidth, limits.idleSeconds) == (10, 500, 60))
        #expect(limits.allow.map(\.description) == ["10.1.0.0/16"])
        #expect(limits.deny.map(\.description) == ["10.1.1.1/32"])
    }

    @Test("If the client's and the operator's allowed blocks are disjoint, no visitor is admitted")
    func disjoint() throws {
        var own = VisitorLimits()
        own.allow = try #require(VisitorLimits.blocks("10.0.0.0/8"))
        var requested = RequestedVisitorLimits()
        requested.allow = "192.0.2.0/24"
        var gate = VisitorGate(try #require(own.narrowed(by: requested)), rememberedAddresses: 4_096)
        for text in ["10.1.1.1", "192.0.2.1", "2001:db8::1"] {
            #expect(gate.admit(try address(text), now: time(0)) == .denied)
        }
    }

    @Test("Malformed blocks are refused", arguments: ["10.0.0.0/33", "nowhere", "10.0.0.0/8;", "1.2.3"])
    func malformed(_ text: String) {
        var requested = RequestedVisitorLimits()
        requested.deny = text
        #expect(VisitorLimits().narrowed(by: requested) == nil)
    }
}

@Suite("Token buckets")
struct TokenBucketTests {
    private func time(_ seconds: Double) -> Instant { Instant(nanoseconds: UInt64(1e9 + seconds * 1e9)) }

    @Test("The wait after an overdraft is the overdrawn amount divided by the rate")
    func overdraw() {
        var bucket = TokenBucket(perSecond: 1_000, burst: 500, now: time(0))
        #expect(bucket.overdraw(500, now: time(0)) == 0)
        #expect(bucket.overdraw(1_000, now: time(0)) == 1)
        #expect(bucket.overdraw(1_000, now: time(1)) == 1)
        #expect(bucket.overdraw(100, now: time(10)) == 0)
    }

    @Test("In a minute no more than the rate and one burst passes")
    func conservation() {
        var bucket = TokenBucket(perSecond: 10, burst: 5, now: time(0))
        let taken = (0..<6_000).count { bucket.takeOne(now: time(Double($0) / 100)) }
        #expect((599...605).contains(taken))
    }
}
