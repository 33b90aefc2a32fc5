import Mux
import NIOEmbedded
import Testing

@testable import TunnelServer

@Suite("The directory of public ports")
struct PortDirectoryTests {
    private let loop = EmbeddedEventLoop()
    private let directory = PortDirectory()

    private func time(_ seconds: UInt64) -> Instant { Instant(nanoseconds: (1_000 + seconds) * 1_000_000_000) }

    private func holder(_ name: String, client: UInt8, instance: UInt8 = 1) -> FakePortHolder {
        FakePortHolder(name, client: client, instance: instance, on: loop)
    }

    private func claim(_ place: PublicPlace, for holder: FakePortHolder, at seconds: UInt64 = 0) -> String {
        switch directory.claim(place, for: holder, now: time(seconds)) {
        case .granted: "granted"
        case .heldBySame(let other): "held by the same process, in the session \(other.name)"
        case .heldByOther(let name, let seconds): "held by \(name) since \(seconds) s"
        case .kept(let name, let seconds): "kept for \(name), \(seconds) s"
        }
    }

    @Test("A free port is granted, and a session may claim it once for each address")
    func free() {
        let alice = holder("alice", client: 1)
        #expect(claim(8_022, for: alice) == "granted" && claim(8_022, for: alice) == "granted")
        #expect(directory.claims(8_022, of: alice) == 2 && directory.claims(8_023, of: alice) == 0)
        #expect(directory.count(of: [1]) == (1, 1))
    }

    @Test("A port is free after its last claim is released")
    func release() {
        let (alice, bob) = (holder("alice", client: 1), holder("bob", client: 2))
        for _ in 0..<2 { #expect(claim(8_022, for: alice) == "granted") }
        directory.release(8_022, alice)
        #expect(claim(8_022, for: bob, at: 7) == "held by alice since 7 s")
        directory.release(8_022, alice)
        #expect(claim(8_022, for: bob) == "granted")
        #expect(directory.count(of: [1]) == (0, 1) && directory.count(of: [2]) == (1, 1))
    }

    @Test("A session that has lost a port does not release its successor's claim")
    func releaseByOther() {
        let (old, new) = (holder("old", client: 1), holder("new", client: 1))
        #expect(claim(8_022, for: old) == "granted")
        directory.release(8_022, old)
        #expect(claim(8_022, for: new) == "granted")
        directory.release(8_022, old)
        #expect(directory.claims(8_022, of: new) == 1)
    }

    @Test("Another session of the same process is returned, so that its liveness can be checked")
    func sameProcess() {
        let old = holder("old", client: 1)
        #expect(claim(8_022, for: old) == "granted")
        let same = claim(8_022, for: holder("new", client: 1))
        #expect(same == "held by the same process, in the session old")
        let other = claim(8_022, for: holder("twin", client: 1, instance: 2), at: 3)
        #expect(other == "held by old since 3 s")
    }

    @Test("A port of a session without a carrier is kept, and the remaining time is rounded up")
    func kept() {
        let (alice, bob) = (holder("alice", client: 1), holder("bob", client: 2))
        #expect(claim(8_022, for: alice) == "granted")
        alice.waitsUntil = time(120)
        #expect(claim(8_022, for: bob, at: 20) == "kept for alice, 101 s")
        alice.waitsUntil = nil
        #expect(claim(8_022, for: bob, at: 20) == "held by alice since 20 s")
    }

    @Test("Ports are counted for each client and in total")
    func counts() {
        let (one, two) = (holder("one", client: 1), holder("two", client: 1, instance: 2))
        for (place, holder) in [
            (PublicPlace.port(1), one), (.udp(1), two), (.path("/run/x"), self.holder("bob", client: 2)),
        ] {
            #expect(claim(place, for: holder) == "granted")
        }
        #expect(directory.count(of: [1]) == (2, 3) && directory.count(of: [9]) == (0, 3))
    }

    @Test("The server's own ports have a use, and others have none")
    func ownPorts() {
        directory.note(own: 443, use: "its endpoint")
        #expect(directory.use(ofOwn: 443) == "its endpoint" && directory.use(ofOwn: 80) == nil)
    }

    // MARK: Names and groups

    private func name(_ text: String, _ path: String = "", _ relay: RequestedName.Relay = .http) -> PublicPlace {
        var request = RequestedName(relay, text)
        request.path = path
        return .name(NamePlace(request))
    }

    private func group(_ name: String, _ key: UInt8) -> PortDirectory.Group? {
        PortDirectory.Group(RequestedGroup(name: name, proof: Array(repeating: key, count: 32)))
    }

    private func claim(_ place: PublicPlace, for holder: FakePortHolder, in group: PortDirectory.Group?) -> String {
        switch directory.claim(place, for: holder, group: group, now: time(0)) {
        case .granted: "granted"
        case .heldBySame: "same"
        case .heldByOther(let name, _), .kept(let name, _): name
        }
    }

    @Test("A host name is one client's, with all of its paths and both relays, until its last place is released")
    func names() {
        let (alice, twin) = (holder("alice", client: 1), holder("twin", client: 1, instance: 2))
        let bob = holder("bob", client: 2)
        let places = [name("a.test"), name("a.test", "/api"), name("a.test", "", .tls), name("a.test", "/")]
        #expect(claim(places[1], for: alice, in: nil) == "granted")
        for place in places { #expect(claim(place, for: bob, in: nil) == "alice") }
        for place in places { #expect(claim(place, for: bob, in: group("blue", 1)) == "alice") }
        #expect(claim(places[0], for: twin, in: nil) == "granted" && claim(places[1], for: twin, in: nil) == "alice")
        #expect(claim(places[3], for: twin, in: nil) == "twin", "the path / is all paths")
        directory.release(places[1], alice)
        #expect(claim(places[1], for: bob, in: nil) == "twin")
        directory.release(places[0], twin)
        #expect(claim(places[1], for: bob, in: nil) == "granted")
        #expect(directory.count(of: [1]) == (0, 1))
    }

    @Test("Members of one group share a place, and another key, another group or none does not join")
    func groups() {
        let (alice, bob) = (holder("alice", client: 1), holder("bob", client: 2))
        let eve = holder("eve", client: 3)
        for place in [name("a.test"), .port(8_022)] {
            #expect(claim(place, for: alice, in: group("blue", 1)) == "granted")
            #expect(claim(place, for: bob, in: group("blue", 1)) == "granted")
            for other in [group("blue", 2), group("red", 1), nil] {
                #expect(claim(place, for: eve, in: other) == "alice")
            }
            directory.release(place, alice)
            #expect(claim(place, for: eve, in: group("blue", 2)) == "bob")
            directory.release(place, bob)
            #expect(claim(place, for: eve, in: nil) == "granted")
        }
    }
}
