import NIOCore
import TestSupport
import Testing
import WebSocket

@testable import Mux
@testable import TunnelCore

/// What is left of a sealed carrier that has ended.
@Suite("The keys of a sealed carrier")
struct SealedCarrierKeysTests {
    private static let roles = [WebSocketRole.client, .server]

    /// What ends a carrier.
    private static let ends: [(name: String, end: @Sendable (SealedRig) throws -> Void)] = [
        ("the connection is closed", { try $0.channel.close().wait() }),
        ("channelInactive comes", { $0.channel.pipeline.fireChannelInactive() }),
        (
            "the peer ends its direction",
            { $0.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed) }
        ),
        ("an error is caught", { $0.channel.pipeline.fireErrorCaught(ScenarioFailure(description: "gone")) }),
        ("a message was altered", { $0.receive(RawFrame(payload: randomBytes(40))) }),
        ("RFC 6455 is broken", { $0.receive(RawFrame(head: 0x83, payload: [])) }),
        (
            "the peer breaks the protocol inside",
            { rig in
                rig.receive(RawFrame(payload: Array(try rig.peer.seal([0x99, 0, 0, 0, 0, 0, 0, 0]).readableBytesView)))
            }
        ),
        ("the peer sends Close", { $0.receive(RawFrame(head: RawFrame.close, payload: [3, 232])) }),
        (
            "this end closes, and the peer answers",
            { rig in
                rig.carrier.close(.goingAway, reason: "over")
                rig.receive(RawFrame(head: RawFrame.close, payload: [3, 233]))
            }
        ),
        (
            "this end closes, and the connection ends",
            { rig in
                rig.carrier.close(.goingAway, reason: "over")
                try rig.channel.close().wait()
            }
        ),
        (
            "this end closes, and the peer says nothing",
            { rig in
                rig.carrier.close(.goingAway, reason: "over")
                rig.channel.embeddedEventLoop.advanceTime(by: Carrier.closeTimeout)
            }
        ),
        ("this end aborts", { $0.carrier.abort("over") }),
        (
            "other keys were used before",
            { rig in
                let keys = try SealPair.make().client
                _ = keys.take()
                rig.carrier.seal(keys)
            }
        ),
        (
            "the carrier leaves the channel",
            { rig in
                _ = rig.channel.pipeline.syncOperations.removeHandler(rig.carrier)
            }
        ),
    ]

    @Test("They go with it, however it ends, and nothing is written then", arguments: roles)
    func gone(role: WebSocketRole) throws {
        for (name, end) in Self.ends {
            let rig = try SealedRig(role)
            weak let keys = rig.carrier.sealed
            rig.carrier.send(SealedRig.data([1]))
            rig.carrier.flush()
            rig.receive(RawFrame(payload: try rig.sealed(SealedRig.data([2]))))
            let written = try rig.written()
            #expect(written.count == 1 && rig.receiver.payloads == [[2]] && keys != nil, "\(name)")
            try end(rig)
            rig.channel.embeddedEventLoop.run()
            #expect(rig.carrier.sealed == nil && keys == nil, "\(name)")
            #expect(rig.receiver.losses.count == 1, "\(name)")
            _ = try rig.writtenBytes()
            rig.carrier.send(SealedRig.data([3]))
            rig.carrier.send(SealedRig.data(randomBytes(MuxLimits.maximumData)))
            rig.carrier.flush()
            rig.channel.embeddedEventLoop.run()
            #expect(try rig.writtenBytes().isEmpty, "\(name)")
            #expect(rig.receiver.payloads == [[2]], "\(name)")
        }
    }

    @Test("Between this end's Close and the peer's answer no frame is sent", arguments: roles)
    func closing(role: WebSocketRole) throws {
        let rig = try SealedRig(role)
        rig.carrier.close(.goingAway, reason: "over")
        let written = try rig.written()
        #expect(written.map(\.head) == [RawFrame.close])
        rig.carrier.send(SealedRig.data(randomBytes(MuxLimits.maximumData)))
        rig.carrier.flush()
        #expect(try rig.writtenBytes().isEmpty)
    }
}
