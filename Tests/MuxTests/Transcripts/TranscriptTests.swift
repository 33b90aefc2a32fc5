import NIOCore
import TestSupport
import Testing

@testable import Mux

/// The wire as it is, byte for byte: a peer of the same version must still understand it tomorrow.
@Suite("Kept transcripts of the session protocol") struct TranscriptTests {
    private static let four = StreamID(4)
    private static let six = StreamID(6)

    private func compare(_ conversation: Conversation, with name: String) throws {
        let difference = try GoldenFile.difference(of: conversation.lines, from: "mux/transcripts/\(name).transcript")
        #expect(difference == nil, "\(difference ?? "")")
    }

    /// A session with tunnel 0 bound and stream 2 open.
    private func begun(_ window: UInt32 = 1_000) throws -> Conversation {
        var talk = Conversation(window: window)
        try talk.authenticate()
        talk.client.bind(BindRequest(tunnel: 0, address: "", port: 8_022))
        try talk.flow()
        talk.server.bound(Binding(tunnel: 0, address: "0.0.0.0", port: 8_022))
        try talk.flow()
        _ = talk.server.open(OpenRequest(tunnel: 0, visitor: "203.0.113.9:40001"), now: talk.now)
        try talk.flow()
        talk.client.accept(two, now: talk.now)
        try talk.flow()
        return talk
    }

    @Test("a session: opening, ports, streams, credit, liveness, resets, farewell")
    func session() throws {
        var talk = Conversation()
        talk.note("the opening")
        try talk.authenticate()
        talk.note("the first questions on a carrier")
        try talk.pass(.zero)
        try ports(&talk)
        try streams(&talk)
        try resets(&talk)
        talk.note("the server wants another carrier, drains, and ends")
        talk.server.askForRenewal(within: 30)
        try talk.flow()
        talk.server.drain(Refusal(.goingAway, "the server is stopping", retryAfter: 5))
        try talk.flow()
        talk.record(talk.server.end(Refusal(.goingAway, "done")), from: .server, on: 1)
        try compare(talk, with: "session")
    }

    private func ports(_ talk: inout Conversation) throws {
        talk.note("ports: one that is bound, one with every wish that is refused")
        talk.client.bind(BindRequest(tunnel: 0, address: "", port: 8_022))
        var terms = RequestedVisitorLimits()
        (terms.connections, terms.connectionsPerSecond) = (100, 10)
        (terms.allow, terms.deny) = ("192.0.2.0/24,2001:db8::/32", "192.0.2.7/32")
        (terms.idleSeconds, terms.bandwidth, terms.wantsPublicAddress) = (600, 1_000_000, true)
        talk.client.bind(BindRequest(tunnel: 1, address: "127.0.0.1", port: 0, visitors: terms))
        try talk.flow()
        talk.server.bound(Binding(tunnel: 0, address: "0.0.0.0 ::", port: 8_022))
        talk.server.unbound(1, Refusal(.portNotAllowed, "port 0 is not allowed", retryAfter: 60))
        try talk.flow()
    }

    private func streams(_ talk: inout Conversation) throws {
        talk.note("a stream from OPEN to both ENDs")
        _ = talk.server.open(
            OpenRequest(tunnel: 0, visitor: "203.0.113.9:40001", publicAddress: "198.51.100.1:8022"),
            now: talk.now
        )
        talk.server.write(two, buffer("GET / HTTP/1.0\r\n\r\n"))
        talk.server.finish(two)
        try talk.flow()
        talk.client.accept(two, now: talk.now)
        talk.client.consumed(two, 18, now: talk.now)
        talk.client.write(two, buffer("HTTP/1.0 204 No Content\r\n\r\n"))
        talk.client.finish(two)
        try talk.flow()
        talk.server.consumed(two, 27, now: talk.now)
        talk.note("what has come is acknowledged after 20 ms")
        try talk.pass(.milliseconds(20))
        talk.note("a stream that needs more than its first window, and the credit for it")
        _ = talk.server.open(OpenRequest(tunnel: 0, visitor: "[2001:db8::1]:40002"), now: talk.now)
        talk.server.write(Self.four, bytes(1_500))
        try talk.flow()
        talk.client.accept(Self.four, now: talk.now)
        talk.client.consumed(Self.four, 400, now: talk.now)
        try talk.flow()
        talk.client.consumed(Self.four, 200, now: talk.now)
        try talk.flow()
        try talk.pass(.milliseconds(20))
    }

    private func resets(_ talk: inout Conversation) throws {
        talk.note("a stream that the client resets, and one that is refused")
        talk.client.reset(Self.four, .connectionReset, now: talk.now)
        try talk.flow()
        _ = talk.server.open(visit, now: talk.now)
        try talk.flow()
        talk.client.reset(Self.six, .refused, now: talk.now)
        try talk.flow()
        talk.note("a stream that the server resets behind its bytes")
        _ = talk.server.open(visit, now: talk.now)
        let eight = StreamID(8)
        try talk.flow()
        talk.client.accept(eight, now: talk.now)
        try talk.flow()
        talk.server.write(eight, buffer("last words"))
        talk.server.reset(eight, .connectionReset, now: talk.now)
        try talk.flow()
        talk.note("a sign of life 24 s later, when it is due at the latest")
        try talk.pass(.seconds(24))
    }

    @Test("bulk streams share the carrier: short ones first, then pieces in turn, and acknowledgements")
    func bulk() throws {
        var talk = try begun(262_144)
        for _ in 0..<2 {
            let id = talk.server.open(visit, now: talk.now)
            try talk.flow()
            talk.client.accept(try #require(id), now: talk.now)
        }
        try talk.flow()
        talk.note("two bulk streams and a short one")
        talk.server.write(two, bytes(50_000))
        talk.server.write(Self.four, bytes(50_000))
        talk.server.write(Self.six, buffer("x"))
        try talk.flow()
        try talk.pass(.milliseconds(20))
        talk.note("one alone")
        talk.server.write(two, bytes(100_000))
        talk.server.finish(two)
        try talk.flow()
        try talk.pass(.milliseconds(20))
        try compare(talk, with: "bulk")
    }

    @Test("openings: every optional field, a refusal, and a session that the server has forgotten")
    func openings() throws {
        var talk = Conversation()
        talk.note("every optional field")
        try talk.authenticate(.init(streams: 500, opening: 50, ticket: Array("for the next time".utf8)))
        talk.note("a resume with a ticket")
        try talk.resume(ticket: Array("for the time after".utf8))
        talk.note("a resume of a session that the server has forgotten")
        try talk.resumeInVain()
        talk.note("a token that the server does not know")
        try talk.authenticateInVain()
        try compare(talk, with: "openings")
    }

    @Test("a resume: what the lost carrier took with it is sent again in its old order, then what is new")
    func resume() throws {
        var talk = try begun()
        talk.note("both ends send, and the carrier dies under it")
        talk.server.write(two, buffer("first "))
        try talk.flow()
        talk.server.write(two, buffer("second "))
        _ = talk.server.open(visit, now: talk.now)
        try talk.send(from: .server, arriving: 1)
        talk.client.write(two, buffer("answer "))
        talk.client.finish(two)
        try talk.send(from: .client, arriving: 0)
        talk.lose()
        talk.note("without a carrier bytes still come")
        talk.server.write(two, buffer("third"))
        talk.server.finish(two)
        try talk.flow()
        talk.note("the next carrier, 2 s later")
        try talk.pass(.seconds(2))
        try talk.resume()
        try talk.flow()
        try talk.pass(.milliseconds(20))
        try compare(talk, with: "resume")
    }

    @Test("after a second loss before any acknowledgement the higher epoch repeats everything")
    func resumeTwice() throws {
        var talk = try begun()
        talk.server.write(two, buffer("once "))
        try talk.send(from: .server, arriving: 0)
        talk.lose()
        try talk.resume()
        talk.server.write(two, buffer("twice"))
        try talk.send(from: .server, arriving: 0)
        talk.lose()
        try talk.resume()
        try talk.flow()
        try talk.pass(.milliseconds(20))
        try compare(talk, with: "resume-twice")
    }

    @Test("a renewal: the new carrier is up before the old one is closed, and nothing is lost or doubled")
    func renewal() throws {
        var talk = try begun()
        talk.server.askForRenewal(within: 10)
        try talk.flow()
        talk.note("frames that are under way on the old carrier while the new one is made")
        talk.server.write(two, buffer("on the old one "))
        try talk.send(from: .server, arriving: 0)
        talk.client.write(two, buffer("answered there"))
        try talk.send(from: .client)
        try talk.resume()
        talk.note("the session goes on")
        talk.server.write(two, buffer("on the new one"))
        try talk.pass(.zero)
        try talk.pass(.milliseconds(20))
        try compare(talk, with: "renewal")
    }
}
