import Mux
import NetworkAddress
import Testing

@testable import TunnelCore
@testable import TunnelServer

@Suite("The door of a tunnel")
struct VisitorGateTests {
    private func moment(_ seconds: Double) -> Instant { Instant(nanoseconds: UInt64(1e9 + seconds * 1e9)) }

    private func gate(_ change: (inout VisitorLimits) -> Void) -> VisitorGate {
        var limits = VisitorLimits()
        change(&limits)
        return VisitorGate(limits, rememberedAddresses: 4_096)
    }

    private func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

    @Test("Without limits everybody comes in, known address or not")
    func open() throws {
        var gate = gate { _ in }
        for _ in 0..<1_000 { #expect(gate.admit(nil, now: moment(0)) == nil) }
        #expect(gate.visitors == 1_000)
    }

    @Test("X16 as many visitors as the limit, wherever they come from, and not one more until one has gone")
    func connections() throws {
        var gate = gate { $0.connections = 2 }
        #expect(gate.admit(nil, now: moment(0)) == nil)
        #expect(gate.admit(nil, now: moment(0)) == nil)
        #expect(gate.admit(nil, now: moment(0)) == .tooMany)
        gate.left()
        #expect(gate.admit(nil, now: moment(0)) == nil)
        #expect(gate.admit(nil, now: moment(0)) == .tooMany)
    }

    @Test("One address comes as often as the rate lets it; another is not held to that")
    func rate() throws {
        var gate = gate { $0.connectionsPerSecond = 3 }
        let (one, other) = (try address("192.0.2.1"), try address("192.0.2.2"))
        for _ in 0..<3 { #expect(gate.admit(one, now: moment(0)) == nil) }
        #expect(gate.admit(one, now: moment(0)) == .tooFast)
        #expect(gate.admit(try address("::ffff:192.0.2.1"), now: moment(0)) == .tooFast)
        #expect(gate.admit(other, now: moment(0)) == nil)
        #expect(gate.admit(one, now: moment(0.3)) == .tooFast)
        #expect(gate.admit(one, now: moment(0.4)) == nil)
    }

    @Test("A subscriber's IPv6 addresses count as one")
    func wideRate() throws {
        var gate = gate { $0.connectionsPerSecond = 1 }
        #expect(gate.admit(try address("2001:db8::1"), now: moment(0)) == nil)
        #expect(gate.admit(try address("2001:db8::ffff:1"), now: moment(0)) == .tooFast)
        #expect(gate.admit(try address("2001:db8:0:1::1"), now: moment(0)) == nil)
    }

    @Test("More addresses than are remembered cost no more memory, and share one count")
    func manyAddresses() throws {
        var gate = gate { $0.connectionsPerSecond = 1 }
        for number in 0..<4_096 {
            #expect(gate.admit(.v4(UInt32(number)), now: moment(0)) == nil)
        }
        #expect(gate.admit(.v4(1 << 24), now: moment(0)) == nil)
        #expect(gate.admit(.v4(1 << 25), now: moment(0)) == .tooFast)
        // Those that have not come lately make room.
        #expect(gate.admit(.v4(1 << 25), now: moment(2)) == nil)
        #expect(gate.admit(.v4(1 << 26), now: moment(2)) == nil)
    }

    @Test(
        "Denied blocks win over allowed ones, and an unknown address is in none",
        arguments: [
            ("10.1.2.3", true), ("10.0.0.1", false), ("::ffff:10.1.2.3", true), ("192.0.2.1", false),
            ("2001:db8::1", true),
            ("2001:db9::1", false), (nil, false),
        ]
    )
    func blocks(_ text: String?, _ isAllowed: Bool) throws {
        var gate = try gateOfBlocks()
        #expect(gate.admit(try text.map(address), now: moment(0)) == (isAllowed ? nil : .denied))
    }

    private func gateOfBlocks() throws -> VisitorGate {
        let allow = try #require(VisitorLimits.blocks("10.0.0.0/8, 2001:db8::/32"))
        let deny = try #require(VisitorLimits.blocks("10.0.0.0/16"))
        return gate {
            $0.allow = allow
            $0.deny = deny
        }
    }

    @Test("A client's terms make the limits stricter, never wider")
    func narrowed() throws {
        var own = VisitorLimits()
        own.connections = 10
        own.bandwidth = 1_000
        own.allow = try #require(VisitorLimits.blocks("10.0.0.0/8"))
        var terms = RequestedVisitorLimits()
        (terms.connections, terms.bandwidth, terms.idleSeconds) = (20, 500, 60)
        (terms.allow, terms.deny) = ("10.1.0.0/16,0.0.0.0/0", "10.1.1.1")
        let limits = try #require(own.narrowed(by: terms))
        #expect((limits.connections, limits.bandwidth, limits.idleSeconds) == (10, 500, 60))
        #expect(limits.allow.map(\.description) == ["10.1.0.0/16"])
        #expect(limits.deny.map(\.description) == ["10.1.1.1/32"])
    }

    @Test("A client that allows only what the operator does not lets nobody in, and not everybody")
    func disjoint() throws {
        var own = VisitorLimits()
        own.allow = try #require(VisitorLimits.blocks("10.0.0.0/8"))
        var terms = RequestedVisitorLimits()
        terms.allow = "192.0.2.0/24"
        var gate = VisitorGate(try #require(own.narrowed(by: terms)), rememberedAddresses: 4_096)
        for text in ["10.1.1.1", "192.0.2.1", "2001:db8::1"] {
            #expect(gate.admit(try address(text), now: moment(0)) == .denied)
        }
    }

    @Test("Terms that are no blocks are refused", arguments: ["10.0.0.0/33", "nowhere", "10.0.0.0/8;", "1.2.3"])
    func malformed(_ text: String) {
        var terms = RequestedVisitorLimits()
        terms.deny = text
        #expect(VisitorLimits().narrowed(by: terms) == nil)
    }
}

@Suite("Rates")
struct TokenBucketTests {
    private func moment(_ seconds: Double) -> Instant { Instant(nanoseconds: UInt64(1e9 + seconds * 1e9)) }

    @Test("What is overdrawn is rested for, to the second")
    func overdraw() {
        var bucket = TokenBucket(perSecond: 1_000, burst: 500, now: moment(0))
        #expect(bucket.overdraw(500, now: moment(0)) == 0)
        #expect(bucket.overdraw(1_000, now: moment(0)) == 1)
        #expect(bucket.overdraw(1_000, now: moment(1)) == 1)
        #expect(bucket.overdraw(100, now: moment(10)) == 0)
    }

    @Test("Over a minute no more passes than the rate and one burst")
    func conservation() {
        var bucket = TokenBucket(perSecond: 10, burst: 5, now: moment(0))
        let taken = (0..<6_000).count { bucket.takeOne(now: moment(Double($0) / 100)) }
        #expect((599...605).contains(taken))
    }
}
