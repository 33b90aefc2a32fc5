import Mux
import NIOEmbedded
import TestSupport
import Testing

@testable import TunnelClient
@testable import TunnelCore

/// What the sessions of one client at several servers share.
@Suite("Sessions of a client at different servers")
struct SessionSpreadTests {
    private let loop = EmbeddedEventLoop()
    private let credentials = Token.none.credentials()

    private static func session(_ server: UInt8, _ rest: UInt8) -> [UInt8] {
        [server, 0, 0, 0] + [UInt8](repeating: rest, count: 12)
    }

    @Test("A server is one session's, until that session has ended or another of its number has begun elsewhere")
    func servers() throws {
        let spread = SessionSpread(on: loop)
        let (a, b) = (try EndpointURL("ws://a"), try EndpointURL("ws://b"))
        #expect(spread.takes(Self.session(1, 1), at: a, for: 0))
        #expect(!spread.takes(Self.session(1, 2), at: b, for: 1), "the first four bytes are those of the server")
        #expect(spread.takes(Self.session(1, 3), at: a, for: 0), "a session follows another one of its own number")
        #expect(spread.takes(Self.session(2, 4), at: b, for: 1))
        #expect(spread.endpoints(besides: 0) == [b] && spread.endpoints(besides: 1) == [a])
        spread.left(Self.session(1, 1), by: 0)
        #expect(!spread.takes(Self.session(1, 5), at: b, for: 1), "an older session has ended")
        spread.left(Self.session(1, 3), by: 0)
        #expect(spread.takes(Self.session(1, 5), at: b, for: 1))
    }

    @Test("The first session has the tunnels that cannot be shared, and another one from its end on")
    func keeper() throws {
        let spread = SessionSpread(on: loop)
        let endpoint = try EndpointURL("ws://a")
        let moves = Mailbox<Int>()
        spread.observe { moves.put(spread.keepsUnshared(0) ? 0 : 1) }
        #expect(spread.keepsUnshared(0) && !spread.keepsUnshared(1))
        #expect(spread.takes(Self.session(1, 1), at: endpoint, for: 0))
        #expect(spread.takes(Self.session(2, 1), at: endpoint, for: 1))
        spread.left(Self.session(2, 1), by: 1)
        #expect(spread.takes(Self.session(2, 2), at: endpoint, for: 1) && moves.all.isEmpty)
        spread.left(Self.session(1, 1), by: 0)
        #expect(moves.all == [1])
        #expect(spread.takes(Self.session(1, 2), at: endpoint, for: 0) && spread.keepsUnshared(1), "it stays there")
        spread.left(Self.session(1, 2), by: 0)
        spread.left(Self.session(2, 2), by: 1)
        #expect(moves.all == [1], "no session is left")
        #expect(spread.takes(Self.session(1, 3), at: endpoint, for: 0) && spread.keepsUnshared(0))
    }

    @Test("The tunnels that cannot be shared leave a server that stops, if another one has a session")
    func leaves() throws {
        let spread = SessionSpread(on: loop)
        let endpoint = try EndpointURL("ws://a")
        #expect(spread.takes(Self.session(1, 1), at: endpoint, for: 0))
        spread.leaves(Self.session(1, 1), by: 0)
        #expect(spread.keepsUnshared(0), "there is no other one")
        #expect(spread.takes(Self.session(2, 1), at: endpoint, for: 1) && spread.keepsUnshared(1))
        spread.leaves(Self.session(2, 9), by: 1)
        #expect(spread.takes(Self.session(3, 1), at: endpoint, for: 0) && spread.keepsUnshared(1))
        spread.leaves(Self.session(2, 1), by: 1)
        #expect(spread.keepsUnshared(0))
    }

    @Test("A tunnel is reported when it is public in the first session, and again after it was public in none")
    func tunnels() {
        let spread = SessionSpread(on: loop)
        #expect(spread.published(3, by: 0))
        #expect(!spread.published(3, by: 1))
        spread.withdrewAll(by: 0)
        #expect(spread.isPublic(3))
        #expect(!spread.published(3, by: 0))
        spread.withdrew(3, by: 0)
        spread.withdrew(3, by: 1)
        #expect(!spread.isPublic(3))
        #expect(spread.published(3, by: 1))
    }

    @Test("The instance of a further session differs from all others, and is the same after a restart")
    func instances() {
        let own = ClientInstance.identity(name: "x", given: "a value")
        let all = (0..<4).map { ClientInstance.session($0, of: own) }
        #expect(all[0] == own)
        #expect(Set(all).count == 4 && all.allSatisfy { $0.count == 32 })
        #expect(
            all == (0..<4).map { ClientInstance.session($0, of: ClientInstance.identity(name: "x", given: "a value")) }
        )
        #expect(Set(all).isDisjoint(with: (0..<4).map { ClientInstance.session($0, of: all[1]) }.dropFirst()))
    }

    @Test("The client's own group depends on its token and its instance alone")
    func group() throws {
        let group = SessionPart.ownGroup(credentials, instance: [1])
        #expect(group == SessionPart.ownGroup(Token.none.credentials(), instance: [1]))
        #expect(group.proof.count == 32 && group.name.utf8.count <= RequestedGroup.longestName)
        let other = SessionPart.ownGroup(credentials, instance: [2])
        let token = try Token("a token that is long enough for all")
        let others = SessionPart.ownGroup(token.credentials(), instance: [1])
        for different in [other, others] {
            #expect(different.proof != group.proof && different.name != group.name)
        }
    }

    @Test(
        "Numbered TCP ports and host names are in all sessions, and other places in the first one alone",
        arguments: [
            ("8022:localhost:22", true), ("127.0.0.1:8022:localhost:22", true), ("1080", true), ("80:/run/x", true),
            ("http:a.example.com:3000", true), ("tls:a.example.com:443", true), ("0:localhost:22", false),
            ("8053:localhost:53/udp", false), ("/run/x:localhost:22", false),
        ]
    )
    func shareable(text: String, isShared: Bool) throws {
        var tunnel = try TunnelSpec(text)
        let own = SessionPart.ownGroup(credentials, instance: [1])
        let parts = (0..<2).map { SessionPart(number: $0, spread: SessionSpread(on: loop), group: own) }
        #expect(parts.map { $0.includes(tunnel) } == [true, isShared])
        #expect(parts.map { $0.group(of: tunnel) } == (isShared ? [own, own] : [nil, nil]))
        let named = RequestedGroup(name: "g", proof: [UInt8](repeating: 0, count: 32))
        tunnel.group = named
        #expect(parts.allSatisfy { $0.group(of: tunnel) == named }, "a tunnel keeps the group that it has")
    }

    @Test("For the operator a tunnel is public if any session has it, and there is a carrier if any session has one")
    func progress() {
        let spread = SessionSpread(on: loop)
        let spec = TunnelSpec(port: 1, to: .address(host: "x", port: 1))
        let tunnels = TunnelSet([spec])
        let parts = (0..<2).map { _ in ClientProgress(tunnels: [spec.description]) }
        let progress = RunProgress(parts: parts, tunnels: tunnels, spread: spread)
        #expect(progress.now.notReadyReason?.hasPrefix("no connection to a server") == true)
        parts[1].connected("b")
        parts[1].refused(0, "in use")
        #expect(progress.now.notReadyReason == "tunnel 1:x:1 is not public: in use")
        parts[1].published(0)
        _ = spread.published(0, by: 1)
        #expect(progress.now.notReadyReason == nil && progress.now.unpublishedTunnels == 0)
        parts[0].failed("no route", isDown: true, next: .seconds(5))
        #expect(progress.now.notReadyReason == nil && progress.now.lastError == "no route")
        spread.withdrewAll(by: 1)
        #expect(progress.now.notReadyReason == "tunnel 1:x:1 is not public yet")
        tunnels.remove(spec)
        #expect(progress.now.notReadyReason == nil)
    }

    @Test("A visitor that is a socket of one session is recognised in another one")
    func loops() {
        let sockets = LoopDetector.Sockets()
        let detectors = (0..<2).map { _ in LoopDetector(serverHost: "example.com", sockets: sockets) }
        let spec = TunnelSpec(port: 8_022, to: .address(host: "localhost", port: 8_022))
        for detector in detectors {
            detector.bound(Binding(tunnel: 0, address: "0.0.0.0", port: 8_022), to: spec)
        }
        _ = detectors[0].join(.init(local: "192.0.2.1:50000", port: 8_022))
        let visit = OpenRequest(tunnel: 0, visitor: "192.0.2.1:50000")
        #expect(detectors.allSatisfy { $0.isLoop(visit) })
    }
}
