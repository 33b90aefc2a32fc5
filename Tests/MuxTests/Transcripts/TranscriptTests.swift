import NIOCore
import TestSupport
import Testing

@testable import Mux

/// Pins the wire byte for byte, since every peer of the same version must understand it.
@Suite("Transcripts of the session protocol") struct TranscriptTests {
    private static let four = StreamID(4)
    private static let six = StreamID(6)

    private func compare(_ conversation: Conversation, with name: String) throws {
        let difference = try GoldenFile.difference(of: conversation.lines, from: "mux/transcripts/\(name).transcript")
        #expect(difference == nil, "\(difference ?? "")")
    }

    /// A session with tunnel 0 bound and stream 2 open.
    private func begun(_ window: UInt32 = 1_000) throws -> Conversation {
        var conversation = Conversation(window: window)
        try conversation.authenticate()
        conversation.client.bind(BindRequest(tunnel: 0, address: "", port: 8_022))
        try conversation.flow()
        conversation.server.bound(Binding(tunnel: 0, address: "0.0.0.0", port: 8_022))
        try conversation.flow()
        _ = conversation.server.open(OpenRequest(tunnel: 0, visitor: "203.0.113.9:40001"), now: conversation.now)
        try conversation.flow()
        conversation.client.accept(two, now: conversation.now)
        try conversation.flow()
        return conversation
    }

    @Test("a session has these frames: handshake, ports, streams, credit, liveness, resets, GOAWAY")
    func session() throws {
        var conversation = Conversation()
        conversation.note("the handshake")
        try conversation.authenticate()
        conversation.note("the first PINGs on a carrier")
        try conversation.pass(.zero)
        try ports(&conversation)
        try streams(&conversation)
        try resets(&conversation)
        try forwards(&conversation)
        conversation.note("the server requests another carrier, drains, and ends")
        conversation.server.askForRenewal(within: 30)
        try conversation.flow()
        conversation.server.drain(Refusal(.goingAway, "the server is stopping", retryAfter: 5))
        try conversation.flow()
        conversation.record(conversation.server.end(Refusal(.goingAway, "done")), from: .server, on: 1)
        try compare(conversation, with: "session")
    }

    private func ports(_ conversation: inout Conversation) throws {
        conversation.note("ports: one that is bound, and one with every limit that is refused")
        conversation.client.bind(BindRequest(tunnel: 0, address: "", port: 8_022))
        var terms = RequestedVisitorLimits()
        (terms.connections, terms.connectionsPerSecond) = (100, 10)
        (terms.allow, terms.deny) = ("192.0.2.0/24,2001:db8::/32", "192.0.2.7/32")
        (terms.idleSeconds, terms.bandwidth, terms.wantsPublicAddress) = (600, 1_000_000, true)
        conversation.client.bind(BindRequest(tunnel: 1, address: "127.0.0.1", port: 0, visitors: terms))
        try conversation.flow()
        conversation.server.bound(Binding(tunnel: 0, address: "0.0.0.0 ::", port: 8_022))
        conversation.server.unbound(1, Refusal(.portNotAllowed, "port 0 is not allowed", retryAfter: 60))
        try conversation.flow()
    }

    private func streams(_ conversation: inout Conversation) throws {
        conversation.note("a stream from OPEN to both ENDs")
        _ = conversation.server.open(
            OpenRequest(tunnel: 0, visitor: "203.0.113.9:40001", publicAddress: "198.51.100.1:8022"),
            now: conversation.now
        )
        conversation.server.write(two, buffer("GET / HTTP/1.0\r\n\r\n"))
        conversation.server.finish(two)
        try conversation.flow()
        conversation.client.accept(two, now: conversation.now)
        conversation.client.consumed(two, 18, now: conversation.now)
        conversation.client.write(two, buffer("HTTP/1.0 204 No Content\r\n\r\n"))
        conversation.client.finish(two)
        try conversation.flow()
        conversation.server.consumed(two, 27, now: conversation.now)
        conversation.note("received frames are acknowledged after 20 ms")
        try conversation.pass(.milliseconds(20))
        conversation.note("a stream that needs more than its first window, and the credit for it")
        _ = conversation.server.open(OpenRequest(tunnel: 0, visitor: "[2001:db8::1]:40002"), now: conversation.now)
        conversation.server.write(Self.four, bytes(1_500))
        try conversation.flow()
        conversation.client.accept(Self.four, now: conversation.now)
        conversation.client.consumed(Self.four, 400, now: conversation.now)
        try conversation.flow()
        conversation.client.consumed(Self.four, 200, now: conversation.now)
        try conversation.flow()
        try conversation.pass(.milliseconds(20))
    }

    private func resets(_ conversation: inout Conversation) throws {
        conversation.note("a stream that the client resets, and one that is refused")
        conversation.client.reset(Self.four, .connectionReset, now: conversation.now)
        try conversation.flow()
        _ = conversation.server.open(visit, now: conversation.now)
        try conversation.flow()
        conversation.client.reset(Self.six, .refused, now: conversation.now)
        try conversation.flow()
        conversation.note("a stream that the server resets behind its bytes")
        _ = conversation.server.open(visit, now: conversation.now)
        let eight = StreamID(8)
        try conversation.flow()
        conversation.client.accept(eight, now: conversation.now)
        try conversation.flow()
        conversation.server.write(eight, buffer("last words"))
        conversation.server.reset(eight, .connectionReset, now: conversation.now)
        try conversation.flow()
        conversation.note("a PING 24 s later, the latest time at which it is due")
        try conversation.pass(.seconds(24))
    }

    private func forwards(_ conversation: inout Conversation) throws {
        conversation.note("a stream that the client opens, and one to a destination that it may not name")
        let request = OpenRequest(destination: "db.internal:5432", visitor: "127.0.0.1:50000")
        let (one, three) = (StreamID(1), StreamID(3))
        _ = conversation.client.open(request, now: conversation.now)
        conversation.client.write(one, buffer("query"))
        try conversation.flow()
        conversation.server.accept(one, now: conversation.now)
        conversation.server.write(one, buffer("rows"))
        conversation.server.finish(one)
        try conversation.flow()
        conversation.client.finish(one)
        try conversation.flow()
        conversation.server.consumed(one, 5, now: conversation.now)
        conversation.client.consumed(one, 4, now: conversation.now)
        _ = conversation.client.open(
            OpenRequest(destination: "/run/postgresql/.s.PGSQL.5432", visitor: "[::1]:50001"),
            now: conversation.now
        )
        try conversation.flow()
        conversation.server.reset(three, .notAllowed, now: conversation.now)
        try conversation.flow()
        conversation.note("a service that does not answer")
        conversation.client.report(TunnelState(tunnel: 0, isUp: false, reason: "it refused"))
        try conversation.flow()
        conversation.note("a port that the client gives back")
        conversation.client.unbind(0)
        try conversation.flow()
        conversation.server.unbound(0, Refusal(.goingAway, "as asked"))
        try conversation.flow()
    }

    @Test("bulk streams share the carrier: interactive streams first, then bulk frames in turn, and acknowledgements")
    func bulk() throws {
        var conversation = try begun(262_144)
        for _ in 0..<2 {
            let id = conversation.server.open(visit, now: conversation.now)
            try conversation.flow()
            conversation.client.accept(try #require(id), now: conversation.now)
        }
        try conversation.flow()
        conversation.note("two bulk streams and an interactive one")
        conversation.server.write(two, bytes(50_000))
        conversation.server.write(Self.four, bytes(50_000))
        conversation.server.write(Self.six, buffer("x"))
        try conversation.flow()
        try conversation.pass(.milliseconds(20))
        conversation.note("one bulk stream alone")
        conversation.server.write(two, bytes(100_000))
        conversation.server.finish(two)
        try conversation.flow()
        try conversation.pass(.milliseconds(20))
        try compare(conversation, with: "bulk")
    }

    @Test("handshakes: every optional field, a refusal, and a session that the server does not know")
    func handshakes() throws {
        var conversation = Conversation()
        conversation.note("every optional field")
        try conversation.authenticate(.init(streams: 500, opening: 50, ticket: Array("for the next time".utf8)))
        conversation.note("a resume with a ticket")
        try conversation.resume(ticket: Array("for the time after".utf8))
        conversation.note("a resume of a session that the server does not know")
        try conversation.resumeUnknownSession()
        conversation.note("a token that the server does not know")
        try conversation.authenticateWithWrongToken()
        try compare(conversation, with: "handshakes")
    }

    @Test("a resume repeats the frames of the lost carrier in their order, then sends new ones")
    func resume() throws {
        var conversation = try begun()
        conversation.note("both ends send, and the carrier loses some of the frames")
        conversation.server.write(two, buffer("first "))
        try conversation.flow()
        conversation.server.write(two, buffer("second "))
        _ = conversation.server.open(visit, now: conversation.now)
        try conversation.send(from: .server, arriving: 1)
        conversation.client.write(two, buffer("answer "))
        conversation.client.finish(two)
        try conversation.send(from: .client, arriving: 0)
        conversation.lose()
        conversation.note("without a carrier the sockets are still read")
        conversation.server.write(two, buffer("third"))
        conversation.server.finish(two)
        try conversation.flow()
        conversation.note("the next carrier, 2 s later")
        try conversation.pass(.seconds(2))
        try conversation.resume()
        try conversation.flow()
        try conversation.pass(.milliseconds(20))
        try compare(conversation, with: "resume")
    }

    @Test("after a second loss without an acknowledgement, the next carrier repeats everything")
    func resumeTwice() throws {
        var conversation = try begun()
        conversation.server.write(two, buffer("once "))
        try conversation.send(from: .server, arriving: 0)
        conversation.lose()
        try conversation.resume()
        conversation.server.write(two, buffer("twice"))
        try conversation.send(from: .server, arriving: 0)
        conversation.lose()
        try conversation.resume()
        try conversation.flow()
        try conversation.pass(.milliseconds(20))
        try compare(conversation, with: "resume-twice")
    }

    @Test("a renewal: the new carrier is up before the old one is closed, and no frame is lost or delivered twice")
    func renewal() throws {
        var conversation = try begun()
        conversation.server.askForRenewal(within: 10)
        try conversation.flow()
        conversation.note("frames in flight on the old carrier while the new one is made")
        conversation.server.write(two, buffer("on the old one "))
        try conversation.send(from: .server, arriving: 0)
        conversation.client.write(two, buffer("answered there"))
        try conversation.send(from: .client)
        try conversation.resume()
        conversation.note("the session continues")
        conversation.server.write(two, buffer("on the new one"))
        try conversation.pass(.zero)
        try conversation.pass(.milliseconds(20))
        try compare(conversation, with: "renewal")
    }
}
