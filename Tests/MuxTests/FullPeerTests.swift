import Testing

@testable import Mux

/// A client whose bound on streams is lower than the server's, which it never says.
@Suite("A peer that has no room for a stream is taken at its word")
struct FullPeerTests {
    private func server() throws -> Session {
        var server = session(.server)
        #expect(server.kind(of: bindFrame(0), bindFrame(1)) == nil)
        for tunnel in [UInt16(0), 1] {
            server.bound(Binding(tunnel: tunnel, address: "", port: 8_080 + tunnel))
        }
        _ = server.actions()
        return server
    }

    @Test("after a RESET busy before ACCEPT no more streams are opened than live, for ten seconds")
    func full() throws {
        var server = try server()
        for number in 1...4 {
            #expect(server.open(visit, now: .start) == StreamID(UInt32(2 * number)))
            if number < 4 { #expect(server.kind(of: frame(.accept, UInt32(2 * number))) == nil) }
        }
        #expect(server.kind(of: resetFrame(8, .busy)) == nil)
        #expect(server.room(at: 0) == .usedUp && server.open(visit, now: .start) == nil)
        #expect(server.deadline <= .at(.seconds(10)))
        try server.tick(now: .at(.milliseconds(9_999)))
        #expect(server.room(at: 0) == .usedUp)
        try server.tick(now: .at(.seconds(10)))
        #expect(server.room(at: 0) == .free)
    }

    @Test("one that ends makes room, and the other tunnel has its reserve of what there is")
    func reserve() throws {
        var server = try server()
        for number in 1...5 {
            _ = server.open(visit, now: .start)
            if number < 5 { #expect(server.kind(of: frame(.accept, UInt32(2 * number))) == nil) }
        }
        #expect(server.kind(of: resetFrame(10, .busy), resetFrame(2)) == nil)
        #expect(server.room(at: 0) == .usedUp && server.room(at: 1) == .free)
    }

    @Test("a stream that was accepted, or that is refused for another reason, says nothing about room")
    func others() throws {
        var server = try server()
        _ = server.open(visit, now: .start)
        _ = server.open(visit, now: .start)
        #expect(server.kind(of: frame(.accept, 2), resetFrame(2, .busy), resetFrame(4, .refused)) == nil)
        #expect(server.room(at: 0) == .free)
    }

    @Test("a client keeps a place for each of its tunnels, within its own bound")
    func client() throws {
        var client = session(.client, limits { $0.streams = 5 })
        for tunnel in [UInt16(0), 1] {
            client.bind(BindRequest(tunnel: tunnel, address: "", port: 0))
            let bound = Binding(tunnel: tunnel, address: "", port: 8_080 + tunnel).frame.arrived
            #expect(client.kind(of: bound) == nil)
        }
        for number in 1...5 { #expect(client.kind(of: openFrame(UInt32(2 * number))) == nil) }
        #expect(client.streamCount == 4)
        let other = Visit(tunnel: 1, visitor: visit.visitor).frame(StreamID(12)).arrived
        #expect(client.kind(of: other) == nil)
        #expect(client.streamCount == 5)
        #expect(client.sent().filter { $0.hasPrefix("reset") } == ["reset 10"])
    }
}
