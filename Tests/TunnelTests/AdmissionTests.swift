import Mux
import NIOCore
import ProxyConnect
import Synchronization
import Testing

@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer

@Suite("What strangers may cost")
struct AdmissionTests {
    private let limits = ServerLimits()
    private let now = Instant(nanoseconds: 1_000_000_000_000)

    @Test("sixteen slots for one address, and not one more until one is given back")
    func placesOfOneAddress() {
        for isHead in [false, true] {
            let admission = Admission(unhurried, now: now)
            func enter(_ address: String) -> Admission.Slot? {
                isHead ? admission.arrive(address, now: now) : admission.enter(address, now: now)
            }
            let slots = (0..<limits.strangersPerAddress).compactMap { _ in enter("192.0.2.1") }
            #expect(slots.count == limits.strangersPerAddress)
            #expect(enter("192.0.2.1") == nil)
            #expect(enter("192.0.2.2") != nil)
            admission.leave(slots[0])
            admission.leave(slots[0])
            #expect(enter("192.0.2.1") != nil && enter("192.0.2.1") == nil)
        }
    }

    @Test("a /64 of IPv6 is one subscriber, for slots and for wrong proofs")
    func subscribers() throws {
        let one = Admission.address(of: try SocketAddress(ipAddress: "2001:db8:1:2::1", port: 1))
        let neighbour = Admission.address(of: try SocketAddress(ipAddress: "2001:db8:1:2:ffff::9", port: 1))
        let other = Admission.address(of: try SocketAddress(ipAddress: "2001:db8:1:3::1", port: 1))
        #expect(one == neighbour && one != other && one != nil)
        #expect(Admission.key(.v6(0xFFFF_C000_0201)) == "192.0.2.1")
    }

    @Test("strangers have three quarters of 256 slots, and known clients find one however many strangers come")
    func placesInAll() {
        let admission = Admission(unhurried, now: now)
        let closed = Mutex(0)
        for _ in 0..<1_000 {
            _ = admission.enter(nil, now: now) { closed.withLock { $0 += 1 } }
        }
        #expect(admission.waiting == 192)
        #expect(closed.withLock { $0 } > 500, "those who came and found no slot, or lost it, are closed")
        let known = (0..<256).map { admission.enter(nil, ticket: "client \($0)", now: now) }
        #expect(known.allSatisfy { $0 != nil })
        #expect(admission.waiting == 256)
        #expect(admission.enter(nil, ticket: "one more", now: now) == nil, "known clients do not take each other's")
        #expect(admission.enter(nil, now: now) == nil)
    }

    @Test("silent strangers give way before those who speak, the oldest first, and sooner the fewer slots are left")
    func pressure() {
        var slots = UnauthenticatedSlots()
        func enter(_ seconds: Double, unit: Double = 0.999) -> UnauthenticatedSlots.Outcome {
            slots.enter(nil, of: 16, perAddress: 16, unit: unit, now: now + .seconds(seconds))
        }
        // Six of twelve slots, and nobody gives way.
        for index in 0..<6 { #expect(enter(0) == .entered(UInt64(index + 1), evicted: [])) }
        #expect(enter(1.9) == .entered(7, evicted: []))
        #expect(enter(2) == .entered(8, evicted: [1]), "silent for two seconds while half is taken")
        for id in UInt64(2)...6 { slots.noteBytes(id) }
        #expect(enter(2.5) == .entered(9, evicted: []), "the others have spoken")
        for index in UInt64(10)...13 { #expect(enter(2.5) == .entered(index, evicted: [])) }
        #expect(enter(2.9) == .entered(14, evicted: [7]), "silent for a second while all are taken")
        #expect(enter(2.9) == .refused, "the newcomer has drawn itself")
        #expect(enter(2.9, unit: 0) == .entered(15, evicted: [2]), "or another one, though it has spoken")
        #expect(slots.count == 12)
    }

    @Test("whatever comes and goes, slots are counted right and no known client is evicted")
    func random() {
        var generator = SystemRandomNumberGenerator()
        var slots = UnauthenticatedSlots()
        var living: [UInt64: Bool] = [:]
        for step in 0..<20_000 {
            let isKnown = Bool.random()
            switch Int.random(in: 0..<4) {
            case 0:
                if let id = living.keys.randomElement(using: &generator) {
                    slots.leave(id)
                    living[id] = nil
                }
            case 1: if let id = living.keys.randomElement(using: &generator) { slots.noteBytes(id) }
            default:
                let outcome = slots.enter(
                    Bool.random() ? nil : "a\(Int.random(in: 0..<9))",
                    isKnown: isKnown,
                    of: 32,
                    perAddress: 4,
                    unit: .random(in: 0..<1),
                    now: now + .milliseconds(10 * step)
                )
                guard case .entered(let id, let evicted) = outcome else { continue }
                for victim in evicted { #expect(living.removeValue(forKey: victim) == false, "a known client") }
                living[id] = isKnown
            }
            #expect(slots.count == living.count && slots.count <= 32)
            #expect(living.values.count { !$0 } <= 24)
        }
    }

    @Test("connections without a head are taken four times as often as requests, and answers have a rate of their own")
    func rates() {
        let admission = Admission(limits, now: now)
        var arrived = 0
        while let slot = admission.arrive(nil, now: now) {
            arrived += 1
            admission.leave(slot)
        }
        #expect(arrived == 400)
        #expect(admission.enter(nil, now: now) != nil)
        // One address has a quarter, and what it has too much of costs the others nothing.
        let fresh = Admission(limits, now: now)
        var ofOne = 0
        for _ in 0..<10_000 {
            guard let slot = fresh.arrive("192.0.2.1", now: now) else { continue }
            ofOne += 1
            fresh.leave(slot)
        }
        #expect(ofOne == 100)
        let held = (0..<100).compactMap { _ in fresh.arrive("192.0.2.2", now: now) }
        #expect(held.count == limits.strangersPerAddress)
        #expect(fresh.arrive("192.0.2.3", now: now) != nil)
        let answers = (0..<300).count { _ in admission.mayAnswer(now: now) }
        #expect(answers == 100)
        #expect(admission.mayAnswer(now: now + .milliseconds(11)))
    }

    @Test("a client with a ticket has a quarter of the rate as well, so that a ticket that was copied harms little")
    func copiedTicket() {
        let admission = Admission(limits, now: now)
        let taken = (0..<100).count { _ in
            guard let slot = admission.enter("192.0.2.1", ticket: "one", now: now) else { return false }
            admission.leave(slot)
            return true
        }
        #expect(taken == 25)
        #expect(admission.enter(nil, ticket: "another", now: now) != nil)
    }

    @Test(
        "a front's address is charged to nobody",
        arguments: [
            ("127.0.0.1", nil), ("127.8.9.1", nil), ("::1", nil), ("::ffff:127.0.0.1", nil), ("192.0.2.1", "192.0.2.1"),
        ]
            as [(String, String?)]
    )
    func frontsAreExempt(text: String, expected: String?) throws {
        #expect(Admission.address(of: try SocketAddress(ipAddress: text, port: 1)) == expected)
        #expect(Admission.address(of: try SocketAddress(unixDomainSocketPath: "/x")) == nil)
        #expect(Admission.address(of: nil) == nil)
    }

    @Test("A2 five wrong proofs a minute are answered at once, further ones ever later, up to five seconds")
    func wrongProofsAreSlowedDown() {
        let admission = Admission(limits)
        let delays = (0..<12).map { _ in admission.failed("192.0.2.1", now: now) }
        #expect(delays == [0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 5, 5])
        #expect(admission.failed("192.0.2.2", now: now) == 0)
        #expect(admission.failed("192.0.2.1", now: now + .seconds(61)) == 0)
    }

    @Test("A2 as many addresses as are remembered, and one more makes all of them forgotten")
    func rememberedAddresses() {
        var limits = limits
        (limits.rememberedAddresses, limits.freeProofs) = (2, 1)
        let admission = Admission(limits)
        let delays = ["192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.1"].map { admission.failed($0, now: now) }
        #expect(delays == [0, 1, 0, 2])
        #expect(admission.failed("192.0.2.3", now: now) == 0)
        #expect(admission.failed("192.0.2.1", now: now) == 0)
    }

    @Test("Other limits hold for what comes from then on, and nothing that is there is sent away")
    func otherLimits() {
        var few = limits
        (few.strangers, few.strangersPerAddress) = (4, 2)
        let admission = Admission(limits, now: now)
        let slots = (0..<5).compactMap { _ in admission.enter("192.0.2.1", now: now) }
        #expect(slots.count == 5)
        admission.update(few, now: now)
        #expect(admission.enter("192.0.2.1", now: now) == nil)
        for slot in slots.dropLast(2) { admission.leave(slot) }
        #expect(admission.enter("192.0.2.1", now: now) == nil)
        #expect(admission.enter("192.0.2.2", now: now) != nil)
        #expect(admission.waiting == 3)
    }

    @Test("As many connections to the backend as there are slots, and one more once one is given back")
    func backendPlaces() {
        let slots = BackendSlots()
        #expect(slots.enter(nil, limit: 2) && slots.enter(nil, limit: 2))
        #expect(!slots.enter(nil, limit: 2))
        slots.leave(nil)
        #expect(slots.enter(nil, limit: 2))
        #expect(slots.enter(nil, limit: 3))
    }

    @Test("one address has a quarter of the connections to the backend")
    func backendPlacesOfOneAddress() {
        let slots = BackendSlots()
        #expect((0..<100).count { _ in slots.enter("192.0.2.1", limit: 40) } == 10)
        #expect(slots.enter("192.0.2.2", limit: 40))
        slots.leave("192.0.2.1")
        #expect(slots.enter("192.0.2.1", limit: 40) && !slots.enter("192.0.2.1", limit: 40))
    }
}

/// Limits under which any number may come at once.
private let unhurried: ServerLimits = {
    var limits = ServerLimits()
    limits.connectionsPerSecond = 100_000
    return limits
}()
