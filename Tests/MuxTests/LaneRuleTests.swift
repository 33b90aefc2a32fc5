import NIOCore
import Testing

@testable import Mux

/// How lanes are opened, and breaches of the rules of lanes (protocol page, section 6).
@Suite struct LaneRuleTests {
    @Test(
        "M33 a RETIRE, RETIRED or LOST that its sender may not send ends the session",
        arguments: [
            (Role.server, retire(0, received: 0), "the lane that it travels on"),
            (.client, retire(1, received: 0), "a RETIRE from the server"),
            (.server, retired(1, received: 0), "a RETIRED from the client"),
            (.server, lost(1, epoch: 1), "a LOST from the client"),
            (.client, retired(1, received: 0), "a RETIRED of a lane in use"),
            (.client, retired(7, received: 0), "a RETIRED of a lane that nobody has opened"),
        ]
    )
    func wrongSender(role: Role, frame: InboundFrame, what: String) throws {
        var end = session(role)
        try end.open(lanes: 1...1)
        #expect(end.kind(of: frame, on: 0) == .unexpectedFrame, "\(what)")
    }

    @Test("M33 a RETIRE or RETIRED with a count that cannot be right ends the session")
    func wrongCount() throws {
        var server = try serverWithStream()
        try server.open(lanes: 1...1)
        server.write(two, bytes(100))
        #expect(server.sent(on: 0) == ["data 2"])
        // OPEN and DATA were sent over lane 0.
        for (count, kind) in [(0, nil), (2, nil), (3, .acknowledgement)] as [(UInt64, MuxError.Kind?)] {
            var copy = server
            #expect(copy.kind(of: retire(0, received: count), on: 1) == kind, "\(count)")
        }
        #expect(server.kind(of: frame(.ack, number: 2), on: 0) == nil)
        #expect(server.kind(of: retire(0, received: 1), on: 1) == .acknowledgement, "less than was acknowledged")

        var client = try clientWithStream()
        try client.open(lanes: 1...1)
        client.retire(.first, now: .start)
        // ACCEPT was sent over lane 0.
        #expect(client.kind(of: retired(0, received: 2), on: 1) == .acknowledgement)
    }

    @Test("M3 a RETIRE, RETIRED or LOST without its fields ends the session")
    func malformed() throws {
        for (role, type) in [(Role.server, FrameType.retire), (.client, .retired), (.client, .lost)] {
            var end = session(role)
            try end.open(lanes: 1...1)
            #expect(end.kind(of: frame(type, 0, buffer([1, 0, 4, 0, 0, 0, 1])), on: 0) == .malformedPayload, "\(type)")
        }
    }

    @Test("M34 a RETIRE of a lane that is not in use is answered and counted as an anomaly")
    func unknownLane() throws {
        var server = session(.server)
        try server.open(lanes: 1...1)
        for lane in 2...201 as ClosedRange<UInt32> {
            #expect(server.kind(of: retire(lane, received: 0), on: 0) == nil)
            let answer = server.frames(on: 0)
            #expect(
                try answer.map { try Retirement($0.payload, of: .retired) } == [
                    Retirement(lane: LaneID(lane), received: 0)
                ]
            )
        }
        #expect(server.kind(of: retire(202, received: 0), on: 0) == .flood)
        #expect(!server.isUnusedLane(LaneID(201)), "the client has asked for it and given it up")
    }

    @Test("M34 a server remembers its answer to a RETIRE, and repeats it")
    func repeatedAnswer() throws {
        var server = session(.server)
        try server.open(lanes: 1...2)
        #expect(server.kind(of: bindFrame(0), bindFrame(1), on: 1) == nil)
        for _ in 0..<2 {
            #expect(server.kind(of: retire(1, received: 0), on: 0) == nil)
            #expect(try server.frames(on: 0).map { try Retirement($0.payload, of: .retired).received } == [2])
        }
        #expect(server.kind(of: retire(1, received: 0), on: 2) == nil)
        #expect(server.sent(on: 2) == ["retired"], "the answer goes over the carrier of the question")
    }

    @Test("M35 a server takes unused lane numbers alone, of which a higher one may overtake the last sixteen")
    func risingNumbers() throws {
        var server = session(.server)
        #expect(try server.attach(LaneID(3), epoch: 1, peerReceived: 0, now: .start))
        #expect(server.laneIDs == [.first, LaneID(3)])
        #expect(try server.attach(LaneID(2), epoch: 2, peerReceived: 0, now: .start), "it was overtaken")
        #expect(server.isUnusedLane(LaneID(1)) && !server.isUnusedLane(LaneID(2)) && server.isUnusedLane(LaneID(4)))
        #expect(try server.attach(LaneID(3), epoch: 3, peerReceived: 0, now: .start), "another carrier of the lane")
        #expect(server.epoch(of: LaneID(3)) == 3)
        #expect(server.kind(of: retire(3, received: 0), on: 0) == nil)
        #expect(server.actions() == [.retired(LaneID(3))])
        #expect(try !server.attach(LaneID(3), epoch: 4, peerReceived: 0, now: .start), "the lane is gone")
        #expect(try server.attach(LaneID(.max), epoch: 5, peerReceived: 0, now: .start), "the last number")
        #expect(!server.isUnusedLane(LaneID(.max)) && !server.isUnusedLane(LaneID(.max - 17)))
        #expect(server.isUnusedLane(LaneID(.max - 16)) && !server.isUnusedLane(LaneID(1)))
    }

    @Test("a client attaches only lanes that it has asked for")
    func askedFor() throws {
        var client = session(.client)
        #expect(try !client.attach(LaneID(1), epoch: 1, peerReceived: 0, now: .start))
        #expect(client.requestLane() == LaneID(1))
        client.abandonLane(LaneID(1))
        #expect(client.sent(on: 0) == ["retire"], "the server may have accepted it")
        #expect(try !client.attach(LaneID(1), epoch: 1, peerReceived: 0, now: .start))
        #expect(client.kind(of: retired(1, received: 0), on: 0) == nil)
        #expect(client.requestLane() == LaneID(2), "a number is not used twice")
        var server = session(.server)
        #expect(server.requestLane() == nil, "the client alone opens lanes")
    }

    @Test("M13 the frames that a peer may cause on a lane count against the limit of those that wait")
    func waitingAnswers() throws {
        var server = session(.server, limits { $0.waitingControl = 50 })
        try server.open(lanes: 1...1)
        for lane in 2...52 as ClosedRange<UInt32> { #expect(server.kind(of: retire(lane, received: 0), on: 0) == nil) }
        #expect(server.kind(of: retire(53, received: 0), on: 0) == .flood)
    }
}
