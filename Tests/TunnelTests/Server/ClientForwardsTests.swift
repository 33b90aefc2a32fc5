import Foundation
import NIOCore
import Platform
import Testing

@testable import Mux
@testable import TunnelCore
@testable import TunnelServer

@Suite("Streams that a client opens to destinations")
struct ClientForwardsTests {
    /// A session whose client may name these destinations.
    private func rig(
        _ rules: [String] = ["192.0.2.7:80", "db.internal:5432", "198.51.100.0/24:*", "/run/x.sock"],
        _ change: (inout ServerConfiguration) -> Void = { _ in }
    ) throws -> ServerRig {
        ServerRig(change, rights: { $0.destinations = rules.compactMap { DestinationRule($0) } })
    }

    private func code(_ rig: ServerRig) throws -> ResetCode? {
        rig.loop.run()
        let reset = rig.carrier.takeFrames().first { $0.header.type == .reset }
        return try reset.map { try ResetCode.read($0.payload).code }
    }

    // MARK: Allowed

    @Test("An address is connected to without a lookup, accepted, and its bytes flow both ways")
    func address() throws {
        let rig = try rig()
        try rig.open(1, to: "192.0.2.7:80")
        #expect(rig.network.lookups.isEmpty && rig.network.connections.map(\.place) == ["192.0.2.7 80"])
        #expect(try rig.sent().isEmpty, "no ACCEPT before the connection")
        try rig.receive(.data(1, "GET"))
        let socket = try rig.network.connect()
        rig.makeCarrierWritable()
        #expect(try rig.sent() == ["accept 1"])
        #expect(socket.farSide == "GET")
        socket.farSideSends("200")
        #expect(try rig.sent() == ["data 1"])
        #expect(rig.session.forwards.count == 1 && rig.share.connections.load(ordering: .relaxed) == 1)
        socket.farSideSendsRST()
        #expect(try rig.sent() == ["reset 1"])
        #expect(rig.session.forwards.count == 0 && rig.share.connections.load(ordering: .relaxed) == 0)
    }

    @Test("S7 a name is looked up once, and exactly the addresses that are allowed are connected to")
    func names() throws {
        let rig = try rig()
        try rig.open(1, to: "db.internal:5432")
        try rig.network.answer("10.0.0.7", "127.0.0.1", "10.0.0.8")
        #expect(rig.network.connections.map(\.place) == ["10.0.0.7 10.0.0.8 5432"])
        try rig.open(3, to: "other.example:443")
        try rig.network.answer("203.0.113.9", "198.51.100.4")
        #expect(rig.network.connections.map(\.place).last == "198.51.100.4 443")
        #expect(rig.network.lookups.isEmpty)
    }

    @Test("A Unix socket is connected to by its path")
    func path() throws {
        let rig = try rig()
        try rig.open(1, to: "/run/x.sock")
        #expect(rig.network.connections.map(\.place) == ["/run/x.sock"])
        _ = try rig.network.connect()
        rig.makeCarrierWritable()
        #expect(try rig.sent() == ["accept 1"])
    }

    @Test("A folder's rule leads to no socket of the server itself, by a symbolic link or a hard one")
    func ownSocketByLink() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("culvert-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: "\(folder)/x", withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        for name in ["admin", "x/other"] { try Data().write(to: URL(fileURLWithPath: "\(folder)/\(name)")) }
        try FileManager.default.createSymbolicLink(atPath: "\(folder)/x/soft", withDestinationPath: "../admin")
        try FileManager.default.linkItem(atPath: "\(folder)/admin", toPath: "\(folder)/x/hard")
        let rig = try rig(["\(folder)/x/*"])
        rig.resources.ports.note(ownPath: "\(folder)/admin")
        for (stream, name) in [(UInt32(1), "soft"), (3, "hard")] {
            try rig.open(stream, to: "\(folder)/x/\(name)")
            #expect(try code(rig) == .notAllowed, "\(name)")
        }
        #expect(rig.network.connections.isEmpty)
        try rig.open(5, to: "\(folder)/x/other")
        #expect(rig.network.connections.map(\.place) == ["\(folder)/x/other"])
    }

    // MARK: Refused

    @Test(
        "S3 what the rights do not list is reset as not allowed, without a lookup or a connection",
        arguments: [
            "192.0.2.8:80", "192.0.2.7:81", "10.0.0.7:5432", "127.0.0.1:80", "localhost:80", "/run/y.sock", "0:80",
            "192.0.2.7", "http://192.0.2.7/",
        ]
    )
    func denied(destination: String) throws {
        let rig = try rig()
        try rig.open(1, to: destination)
        #expect(rig.network.lookups.isEmpty && rig.network.connections.isEmpty)
        #expect(try code(rig) == .notAllowed)
        #expect(rig.log.count("destination refused") == 1 && rig.session.forwards.count == 0)
    }

    @Test("S3 a client without rights reaches nothing")
    func noRights() throws {
        let rig = ServerRig()
        try rig.open(1, to: "192.0.2.7:80")
        #expect(try code(rig) == .notAllowed)
    }

    @Test("S7 a name that leads to no allowed address is reset as not allowed")
    func deniedByAddress() throws {
        let rig = try rig()
        try rig.open(1, to: "db.internal:5432")
        try rig.network.answer("127.0.0.1", "169.254.169.254", "::1")
        #expect(try code(rig) == .notAllowed)
        #expect(rig.network.connections.isEmpty && rig.session.forwards.count == 0)
    }

    @Test("A failure is told apart: no such name, refused, no answer")
    func failures() throws {
        let rig = try rig()
        try rig.open(1, to: "db.internal:5432")
        rig.network.answer(.notFound)
        #expect(try code(rig) == .unreachable)
        for (number, failure, expected) in [
            (UInt32(3), IOError(errnoCode: ECONNREFUSED, reason: "connect") as any Error, ResetCode.refused),
            (5, IOError(errnoCode: EHOSTUNREACH, reason: "connect"), .unreachable),
            (7, ChannelError.connectTimeout(.seconds(10)), .timeout),
        ] {
            try rig.open(number, to: "192.0.2.7:80")
            rig.network.fail(failure)
            #expect(try code(rig) == expected)
        }
        #expect(rig.log.count("destination cannot be reached") == 4 && rig.session.forwards.count == 0)
    }

    @Test("A stream that the client resets while its destination is looked up or connected to is forgotten")
    func resetMeanwhile() throws {
        let rig = try rig()
        try rig.open(1, to: "db.internal:5432")
        try rig.receive(.reset(1))
        try rig.network.answer("10.0.0.7")
        #expect(rig.network.connections.isEmpty && rig.session.forwards.count == 0)
        try rig.open(3, to: "192.0.2.7:80")
        try rig.receive(.reset(3))
        let socket = try rig.network.connect()
        #expect(socket.isClosed && rig.session.forwards.count == 0)
        #expect(rig.share.connections.load(ordering: .relaxed) == 0)
    }

    // MARK: Limits

    @Test("S6 four names are looked up at a time, and the next one when an answer comes")
    func lookups() throws {
        let rig = try rig()
        for number in UInt32(0)..<6 { try rig.open(1 + 2 * number, to: "n\(number).example:443") }
        #expect(rig.network.lookups.map(\.name) == ["n0.example", "n1.example", "n2.example", "n3.example"])
        try rig.receive(.reset(9))
        rig.network.answer(.notFound)
        #expect(rig.network.lookups.map(\.name).last == "n5.example" && rig.network.lookups.count == 4)
    }

    @Test("S6 streams that come too fast are reset as busy, and a moment later the next one is taken")
    func rate() throws {
        let rig = try rig { $0.serverLimits.forwardsPerSecond = 4 }
        for number in [UInt32(1), 3] { try rig.open(number, to: "192.0.2.7:80") }
        #expect(rig.network.connections.count == 2)
        try rig.open(5, to: "192.0.2.7:80")
        #expect(try code(rig) == .busy)
        rig.advance(0.25)
        try rig.open(7, to: "192.0.2.7:80")
        #expect(rig.network.connections.count == 3)
    }

    @Test("S6 the sessions of one client share its rate of streams, which follows a reload")
    func ratePerClient() throws {
        let limit: (inout ServerConfiguration) -> Void = { $0.serverLimits.forwardsPerSecond = 4 }
        let rights: (inout ClientRights) -> Void = {
            $0.destinations = [DestinationRule("192.0.2.7:80")].compactMap { $0 }
        }
        let rig = ServerRig(limit, rights: rights)
        let second = ServerRig(beside: rig, instance: 2, limit, rights: rights)
        let other = ServerRig(beside: rig, client: 2, limit, rights: rights)
        for rig in [rig, second] { try rig.open(1, to: "192.0.2.7:80") }
        try second.open(3, to: "192.0.2.7:80")
        #expect(try code(second) == .busy)
        try other.open(1, to: "192.0.2.7:80")
        #expect(other.network.connections.count == 1)
        rig.update({ $0.serverLimits.forwardsPerSecond = 20 }, rights: rights)
        for stream in stride(from: UInt32(3), to: 23, by: 2) { try rig.open(stream, to: "192.0.2.7:80") }
        #expect(rig.network.connections.count == 11)
        try rig.open(23, to: "192.0.2.7:80")
        #expect(try code(rig) == .busy)
    }

    @Test("A client that has its share of the server gets no further connection")
    func share() throws {
        let rig = try rig()
        let account = rig.resources.memory.open { _, done in done() }
        account.holds(rig.resources.memory.capacity / 5 * 4)
        try rig.open(1, to: "192.0.2.7:80")
        #expect(try code(rig) == .busy)
        account.close()
        rig.makeCarrierWritable()
        try rig.open(3, to: "192.0.2.7:80")
        #expect(rig.network.connections.count == 1)
    }

    @Test("A socket counts in its client's share from the start of its connect until it is closed")
    func connecting() throws {
        let rig = try rig()
        for stream in [UInt32(1), 3] { try rig.open(stream, to: "192.0.2.7:80") }
        #expect(rig.share.connections.load(ordering: .relaxed) == 2)
        rig.network.fail(ChannelError.connectTimeout(.seconds(10)))
        #expect(rig.share.connections.load(ordering: .relaxed) == 1)
        let socket = try rig.network.connect()
        #expect(rig.share.connections.load(ordering: .relaxed) == 1)
        socket.farSideSendsRST()
        rig.loop.run()
        #expect(rig.share.connections.load(ordering: .relaxed) == 0)
    }

    @Test("A client that has got its share while a name was looked up gets no connection to it")
    func shareMeanwhile() throws {
        let rig = try rig()
        try rig.open(1, to: "db.internal:5432")
        let account = rig.resources.memory.open { _, done in done() }
        account.holds(rig.resources.memory.capacity / 5 * 4)
        try rig.network.answer("10.0.0.7")
        #expect(try code(rig) == .busy && rig.network.connections.isEmpty)
        account.close()
    }

    @Test("Visitors and destinations share the bandwidth of their client")
    func bandwidth() throws {
        let rig = ServerRig(rights: {
            $0.destinations = [DestinationRule("192.0.2.7:80")].compactMap { $0 }
            $0.bandwidth = 1
        })
        try rig.bind(8_022)
        let visitor = try rig.visitor()
        try rig.receive(.accept(2))
        // The whole burst, and more than a second's worth above it.
        visitor.farSideSends(String(repeating: "x", count: 65_536 + 100))
        rig.loop.run()
        #expect(!visitor.isReading)
        try rig.open(1, to: "192.0.2.7:80")
        let socket = try rig.network.connect()
        socket.farSideSends("y")
        rig.loop.run()
        #expect(!socket.isReading, "the visitor has used up the bandwidth of both")
    }

    // MARK: Changes

    @Test("Narrowed rights reset the streams that they do not allow, and the others go on")
    func narrowed() throws {
        let rig = try rig()
        try rig.open(1, to: "192.0.2.7:80")
        let kept = try rig.network.connect()
        try rig.open(3, to: "db.internal:5432")
        try rig.network.answer("10.0.0.7")
        let lost = try rig.network.connect(at: "10.0.0.7")
        try rig.open(5, to: "other.example:443")
        _ = try rig.sent()
        rig.update(rights: { $0.destinations = [DestinationRule("192.0.2.7:80")].compactMap { $0 } })
        #expect(lost.farSide == "<RST>" && !kept.isClosed)
        #expect(try rig.sent().sorted() == ["reset 3", "reset 5"])
        #expect(rig.log.count("stream reset: the client's rights have changed") == 2)
        kept.farSideSends("on")
        #expect(try rig.sent() == ["data 1"])
        rig.update(rights: { $0.destinations = [DestinationRule("192.0.2.7:*")].compactMap { $0 } })
        #expect(!kept.isClosed)
    }

    @Test("Rights that narrow during a lookup or a connection hold for its result")
    func narrowedMeanwhile() throws {
        let rig = try rig(["*:443", "192.0.2.7:*"])
        try rig.open(1, to: "db.example:443")
        try rig.open(3, to: "192.0.2.7:443")
        rig.update(rights: { $0.destinations = [DestinationRule("10.9.0.0/16:*")].compactMap { $0 } })
        _ = try rig.sent()
        try rig.network.answer("192.0.2.7")
        #expect(rig.network.connections.count == 1 && rig.session.forwards.count == 0)
        let socket = try rig.network.connect()
        #expect(socket.isClosed && rig.session.forwards.count == 0)
    }

    @Test("A stream that is reset while its name waits for a lookup leaves nothing behind, with bytes or without")
    func resetWaiting() throws {
        let rig = try rig()
        for number in UInt32(0)..<4 { try rig.open(1 + 2 * number, to: "n\(number).example:443") }
        for number in UInt32(4)..<1_000 {
            try rig.open(1 + 2 * number, to: "n\(number).example:443")
            try rig.receive(.data(1 + 2 * number, "early"))
            try rig.receive(.reset(1 + 2 * number))
            rig.advance(0.01)
        }
        #expect(rig.session.forwards.count <= 4 + MuxLimits().opening)
        rig.loop.advanceTime(by: .seconds(60))
        #expect(rig.session.forwards.count <= 4)
    }

    @Test("A session that drains refuses further streams, and its end resets the sockets of the others")
    func ends() throws {
        let rig = try rig()
        try rig.open(1, to: "192.0.2.7:80")
        let socket = try rig.network.connect()
        _ = rig.session.drain(Refusal(.goingAway, "soon"))
        try rig.open(3, to: "192.0.2.7:80")
        #expect(try code(rig) == .goingAway)
        _ = rig.session.end(Refusal(.goingAway, "now"))
        rig.loop.run()
        #expect(socket.farSide == "<RST>" && rig.session.forwards.count == 0)
    }

    // MARK: UNBIND

    @Test("A port that the client gives back is closed, and the client may have it again")
    func unbind() throws {
        let rig = try rig()
        try rig.bind(8_022)
        _ = try rig.sent()
        try rig.receive(PeerFrame(0x13, 0, Unbinding(tunnel: 0).frame.payload))
        #expect(try rig.sent() == ["UNBOUND 0: as asked"])
        #expect(rig.session.ports.published.isEmpty && rig.log.count("port given back") == 1)
        try rig.bind(8_022)
        #expect(try rig.sent() == ["BOUND 0 at 8022"])
    }
}
