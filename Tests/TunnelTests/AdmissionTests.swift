import Mux
import NIOCore
import ProxyConnect
import Synchronization
import Testing

@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer

@Suite("Admission of strangers")
struct AdmissionTests {
    private let limits = ServerLimits()
    private let now = Instant(nanoseconds: 1_000_000_000_000)

    @Test("One address gets sixteen slots, and another one only after it returns one")
    func slotsOfOneAddress() {
        for isHead in [false, true] {
            let admission = Admission(highRate, now: now)
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

    @Test("A /64 of IPv6 counts as one address for slots and wrong proofs")
    func subscribers() throws {
        let one = Admission.address(of: try SocketAddress(ipAddress: "2001:db8:1:2::1", port: 1))
        let neighbour = Admission.address(of: try SocketAddress(ipAddress: "2001:db8:1:2:ffff::9", port: 1))
        let other = Admission.address(of: try SocketAddress(ipAddress: "2001:db8:1:3::1", port: 1))
        #expect(one == neighbour && one != other && one != nil)
        #expect(Admission.key(.v6(0xFFFF_C000_0201)) == "192.0.2.1")
    }

    @Test("Strangers get at most three quarters of 256 slots, so known clients always find one")
    func totalSlots() {
        let admission = Admission(highRate, now: now)
        let closed = Mutex(0)
        for _ in 0..<1_000 {
            _ = admission.enter(nil, now: now) { closed.withLock { $0 += 1 } }
        }
        #expect(admission.waiting == 192)
        #expect(closed.withLock { $0 } > 500, "connections without a slot are closed")
        let known = (0..<256).map { admission.enter(nil, ticket: "client \($0)", now: now) }
        #expect(known.allSatisfy { $0 != nil })
        #expect(admission.waiting == 256)
        #expect(admission.enter(nil, ticket: "one more", now: now) == nil, "a known client took another's slot")
        #expect(admission.enter(nil, now: now) == nil)
    }

    @Test("Silent strangers are evicted before active ones, the oldest first, and earlier if fewer slots are free")
    func pressure() {
        var slots = UnauthenticatedSlots()
        func enter(_ seconds: Double, unit: Double = 0.999) -> UnauthenticatedSlots.Outcome {
            slots.enter(nil, of: 16, perAddress: 16, unit: unit, now: now + .seconds(seconds))
        }
        // With six of twelve slots in use no connection is evicted.
        for index in 0..<6 { #expect(enter(0) == .entered(UInt64(index + 1), evicted: [])) }
        #expect(enter(1.9) == .entered(7, evicted: []))
        #expect(enter(2) == .entered(8, evicted: [1]), "silent for 2 s with half of the slots in use")
        for id in UInt64(2)...6 { slots.noteBytes(id) }
        #expect(enter(2.5) == .entered(9, evicted: []), "the others have sent bytes")
        for index in UInt64(10)...13 { #expect(enter(2.5) == .entered(index, evicted: [])) }
        #expect(enter(2.9) == .entered(14, evicted: [7]), "silent for 1 s with all slots in use")
        #expect(enter(2.9) == .refused, "the random choice is the new connection")
        #expect(enter(2.9, unit: 0) == .entered(15, evicted: [2]), "the random choice is an active connection")
        #expect(slots.count == 12)
    }

    @Test("With random connections slots are counted correctly, and no known client is evicted")
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

    @Test("Connections without a head have four times the rate of requests, and answers have a separate rate")
    func rates() {
        let admission = Admission(limits, now: now)
        var arrived = 0
        while let slot = admission.arrive(nil, now: now) {
            arrived += 1
            admission.leave(slot)
        }
        #expect(arrived == 400)
        #expect(admission.enter(nil, now: now) != nil)
        // One address has a quarter of the rate, and its excess does not reduce the rate of others.
        let fresh = Admission(limits, now: now)
        var oneAddress = 0
        for _ in 0..<10_000 {
            guard let slot = fresh.arrive("192.0.2.1", now: now) else { continue }
            oneAddress += 1
            fresh.leave(slot)
        }
        #expect(oneAddress == 100)
        let held = (0..<100).compactMap { _ in fresh.arrive("192.0.2.2", now: now) }
        #expect(held.count == limits.strangersPerAddress)
        #expect(fresh.arrive("192.0.2.3", now: now) != nil)
        let answers = (0..<300).count { _ in admission.mayAnswer(now: now) }
        #expect(answers == 100)
        #expect(admission.mayAnswer(now: now + .milliseconds(11)))
    }

    @Test("A ticket gives a quarter of the rate, so a copied ticket has a limited effect")
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
        "A front's address is not limited",
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

    @Test("A2 five wrong proofs a minute are answered at once, and further ones after an increasing delay of up to 5 s")
    func wrongProofsAreSlowedDown() {
        let admission = Admission(limits)
        let delays = (0..<12).map { _ in admission.failed("192.0.2.1", now: now) }
        #expect(delays == [0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 5, 5])
        #expect(admission.failed("192.0.2.2", now: now) == 0)
        #expect(admission.failed("192.0.2.1", now: now + .seconds(61)) == 0)
    }

    @Test("A2 an address beyond the remembered number clears the table")
    func rememberedAddresses() {
        var limits = limits
        (limits.rememberedAddresses, limits.freeProofs) = (2, 1)
        let admission = Admission(limits)
        let delays = ["192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.1"].map { admission.failed($0, now: now) }
        #expect(delays == [0, 1, 0, 2])
        #expect(admission.failed("192.0.2.3", now: now) == 0)
        #expect(admission.failed("192.0.2.1", now: now) == 0)
    }

    @Test("New limits apply to new connections, and existing ones stay")
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

    @Test("Connections to the backend are limited, and a returned slot can be used again")
    func backendSlots() {
        let slots = ConnectionSlots()
        #expect(slots.enter(nil, limit: 2) && slots.enter(nil, limit: 2))
        #expect(!slots.enter(nil, limit: 2))
        slots.leave(nil)
        #expect(slots.enter(nil, limit: 2))
        #expect(slots.enter(nil, limit: 3))
    }

    @Test("One address has a quarter of the connections to the backend")
    func backendSlotsOfOneAddress() {
        let slots = ConnectionSlots()
        #expect((0..<100).count { _ in slots.enter("192.0.2.1", limit: 40) } == 10)
        #expect(slots.enter("192.0.2.2", limit: 40))
        slots.leave("192.0.2.1")
        #expect(slots.enter("192.0.2.1", limit: 40) && !slots.enter("192.0.2.1", limit: 40))
    }
}

/// Limits with a rate that the tests do not reach.
private let highRate: ServerLimits = {
    var limits = ServerLimits()
    limits.connectionsPerSecond = 100_000
    return limits
}()
