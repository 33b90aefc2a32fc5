import Mux
import NIOCore
import Testing

@testable import Tunnel

@Suite("What strangers may cost")
struct AdmissionTests {
    private let limits = ServerLimits()
    private let now = Moment(nanoseconds: 1_000_000_000_000)

    @Test("sixteen places for one address, and not one more until one is given back")
    func placesOfOneAddress() {
        let admission = Admission(limits)
        for _ in 0..<limits.strangersPerAddress { #expect(admission.enter("192.0.2.1")) }
        #expect(!admission.enter("192.0.2.1"))
        #expect(admission.enter("192.0.2.2"))
        admission.leave("192.0.2.1")
        #expect(admission.enter("192.0.2.1"))
    }

    @Test("256 places in all, for loopback too, where the front stands")
    func placesInAll() {
        let admission = Admission(unhurried)
        for _ in 0..<limits.strangers { #expect(admission.enter(nil)) }
        #expect(!admission.enter(nil))
        #expect(!admission.enter("192.0.2.1"))
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

    @Test("Other limits hold for whoever comes from then on, and nobody who is there is sent away")
    func otherLimits() {
        var few = limits
        (few.strangers, few.strangersPerAddress) = (3, 2)
        let admission = Admission(limits)
        for _ in 0..<5 { #expect(admission.enter("192.0.2.1")) }
        admission.update(few)
        #expect(!admission.enter("192.0.2.2"))
        for _ in 0..<3 { admission.leave("192.0.2.1") }
        #expect(!admission.enter("192.0.2.1"))
        #expect(admission.enter("192.0.2.2"))
        #expect(!admission.enter("192.0.2.3"))
    }

    @Test("As many connections to the backend as there are places, and one more once one is given back")
    func backendPlaces() {
        let places = BackendPlaces()
        #expect(places.enter(most: 2) && places.enter(most: 2))
        #expect(!places.enter(most: 2))
        places.leave()
        #expect(places.enter(most: 2))
        #expect(places.enter(most: 3))
    }
}

/// Limits under which any number may come at once.
private let unhurried: ServerLimits = {
    var limits = ServerLimits()
    limits.connectionsPerSecond = 100_000
    return limits
}()
