import NIOCore
import Testing

@testable import Mux

/// Streams that the client opens, and what each end may say in OPEN, END and RESET.
@Suite("Streams that the client opens")
struct ClientStreamTests {
    private let one = StreamID(1)
    private let request = OpenRequest(destination: "db.internal:5432", visitor: "127.0.0.1:40001")

    private func openFrame(_ stream: UInt32) -> InboundFrame { request.frame(StreamID(stream)).arrived }

    /// A client and a server with stream 1 between them, which the server has accepted.
    private func pair() throws -> (client: Session, server: Session) {
        var (client, server) = (session(.client), session(.server))
        #expect(client.open(request, now: .start) == one)
        try server.receive(openFrame(1), now: .start)
        #expect(server.actions() == [.open(one, request)])
        server.accept(one, now: .start)
        try client.receive(frame(.accept, 1), now: .start)
        #expect(client.actions() == [.accepted(one)])
        _ = (client.frames(), server.frames())
        return (client, server)
    }

    @Test("A client's stream carries bytes both ways, and ends in order")
    func bothWays() throws {
        var (client, server) = try pair()
        client.write(one, buffer("query"))
        client.finish(one)
        for sent in client.frames() { try server.receive(sent.arrived, now: .start) }
        #expect(server.actions() == [.deliver(one, buffer("query")), .end(one)])
        server.write(one, buffer("rows"))
        server.finish(one)
        for sent in server.frames() { try client.receive(sent.arrived, now: .start) }
        #expect(client.actions() == [.deliver(one, buffer("rows")), .end(one)])
        server.consumed(one, 5, now: .start)
        client.consumed(one, 4, now: .start)
        #expect(server.actions() == [.closed(one)] && client.actions() == [.closed(one)])
    }

    @Test("Bytes may leave before the ACCEPT, and a refusal with its code arrives after them")
    func refusal() throws {
        var (client, server) = (session(.client), session(.server))
        _ = client.open(request, now: .start)
        client.write(one, buffer("early"))
        for sent in client.frames() { try server.receive(sent.arrived, now: .start) }
        #expect(server.actions() == [.open(one, request), .deliver(one, buffer("early"))])
        server.reset(one, .notAllowed)
        for sent in server.frames() { try client.receive(sent.arrived, now: .start) }
        #expect(client.actions() == [.reset(one, .notAllowed)])
        #expect(client.streamCount == 0 && server.streamCount == 0)
    }

    @Test("A server cannot name a destination, and a client names nothing else")
    func targets() {
        var client = session(.client)
        #expect(client.kind(of: request.frame(two).arrived) == .malformedPayload)
        var server = session(.server)
        #expect(server.kind(of: visit.frame(one).arrived) == .malformedPayload)
        for (fields, sender) in [
            // A client's destination and a tunnel; no destination; an unknown kind; a server's request without a tunnel.
            ("01 0001 01 02 0002 0000 03 0004 613a3830", Role.client), ("01 0001 01 04 0001 61", .client),
            ("01 0001 09 03 0004 613a3830", .client), ("01 0001 00 02 0002 0000", .server),
            ("01 0001 01 04 0001 61", .server), ("01 0002 0001 02 0002 0000", .server),
            ("01 0001 01 03 0002 610a", .client),
            // A server cannot probe a client, and a client's probe has a request.
            ("01 0001 03 02 0002 0000", .server), ("01 0001 03", .client),
        ] {
            #expect(
                kind { () throws(MuxError) in _ = try OpenRequest(buffer(hex(fields)), from: sender) }
                    == .malformedPayload
            )
        }
        #expect(session(.client).opens(visit) == nil && session(.server).opens(request) == nil)
    }

    @Test("A destination has at most 512 bytes")
    func longDestination() throws {
        let host = String(repeating: "a", count: 506) + ":65535"
        let frame = OpenRequest(destination: host, visitor: "").frame(one)
        #expect(try OpenRequest(frame.payload, from: .client).target == .destination(host))
        var fields = FieldWriter()
        fields.append(1, number: StreamKind.tcp.rawValue)
        fields.append(3, Array((host + "0").utf8))
        #expect(kind { () throws(MuxError) in _ = try OpenRequest(fields.bytes, from: .client) } == .malformedPayload)
    }

    @Test("Each end bounds the other's streams, and one end's streams take no place from the other's")
    func bounds() {
        let limits = limits {
            $0.streams = 2
            $0.opening = 2
        }
        var server = Session(
            role: .server,
            limits: limits,
            peerWindow: 1_000,
            peerAccepts: (1, 1),
            seed: 1,
            now: .start
        )
        #expect(server.open(visit, now: .start) != nil && server.open(visit, now: .start) == nil)
        #expect(server.kind(of: openFrame(1), openFrame(3)) == nil)
        #expect(server.actions().count == 2)
        #expect(server.kind(of: openFrame(5)) == nil)
        #expect(server.actions().isEmpty && server.sent() == ["open 2", "reset 5"])
        server.accept(one, now: .start)
        #expect(server.kind(of: openFrame(7)) == nil)
        #expect(server.sent() == ["accept 1", "reset 7"], "two of the client's streams live")
        server.reset(one, .refused)
        #expect(server.kind(of: openFrame(9)) == nil)
        #expect(server.actions() == [.open(StreamID(9), request)])
    }

    @Test("A client opens no more streams than the server accepts")
    func clientBound() {
        var client = Session(role: .client, peerWindow: 1_000, peerAccepts: (3, 2), seed: 1, now: .start)
        #expect(client.open(request, now: .start) == one && client.open(request, now: .start) == StreamID(3))
        #expect(client.open(request, now: .start) == nil, "two wait for their ACCEPT")
        #expect(client.kind(of: frame(.accept, 1)) == nil)
        #expect(client.open(request, now: .start) == StreamID(5))
        #expect(client.kind(of: frame(.accept, 3), frame(.accept, 5)) == nil)
        #expect(client.open(request, now: .start) == nil, "three live")
        client.reset(one, .connectionReset)
        #expect(client.open(request, now: .start) == StreamID(7))
    }

    @Test("A client that opens streams beyond the bound again and again is cut off")
    func flood() {
        var server = session(.server, limits { $0.streams = 1 })
        #expect(server.kind(of: openFrame(1)) == nil)
        for number in 1...200 { #expect(server.kind(of: openFrame(UInt32(number) * 2 + 1)) == nil) }
        #expect(server.kind(of: openFrame(999)) == .flood)
    }

    @Test("The server resets a stream that it does not accept in time, at the client")
    func timeout() throws {
        var client = session(.client)
        _ = client.open(request, now: .start)
        _ = client.frames()
        try client.tick(now: .at(.seconds(14)))
        #expect(client.actions().isEmpty)
        try client.tick(now: .at(.seconds(15)))
        #expect(client.actions() == [.abort(one, .timeout)] && client.sent() == ["ping", "reset 1"])
    }

    @Test("A server that drains refuses further streams of the client")
    func draining() {
        var server = session(.server)
        server.drain(Refusal(.goingAway, "bye"))
        #expect(server.kind(of: openFrame(1)) == nil)
        #expect(server.sent() == ["goAway", "reset 1"] && server.actions().isEmpty)
    }

    @Test(
        "An END or RESET whose offset is not that of the bytes that came ends the session",
        arguments: [UInt64(0), 4, 6, .max]
    )
    func offsets(offset: UInt64) throws {
        var (_, ended) = try pair()
        try ended.receive(frame(.data, 1, buffer("12345")), now: .start)
        #expect(
            kind { () throws(MuxError) in
                try ended.receive(frame(.end, 1, number: offset), now: .start)
            } == .malformedPayload
        )
        var (_, reset) = try pair()
        try reset.receive(frame(.data, 1, buffer("12345")), now: .start)
        let wrong = ResetCode.connectionReset.frame(one, after: offset).arrived
        #expect(kind { () throws(MuxError) in try reset.receive(wrong, now: .start) } == .malformedPayload)
        var (_, right) = try pair()
        try right.receive(frame(.data, 1, buffer("12345")), now: .start)
        try right.receive(frame(.end, 1, number: 5), now: .start)
        try right.receive(ResetCode.connectionReset.frame(one, after: 5).arrived, now: .start)
    }

    @Test("A RESET that overtakes bytes carries the offset of those that were sent")
    func overtaking() throws {
        var (client, _) = try pair()
        client.write(one, bytes(300_000))
        let sent = client.frames().filter { $0.header.type == .data }.reduce(0) { $0 + $1.payload.readableBytes }
        client.shed(1)
        let reset = try #require(client.frames().first { $0.header.type == .reset })
        #expect(try ResetCode.read(reset.payload) == (.busy, UInt64(sent)))
    }
}

extension Session {
    /// The number of a stream that a copy of the session opens.
    fileprivate func opens(_ request: OpenRequest) -> StreamID? {
        var copy = self
        return copy.open(request, now: .start)
    }
}
