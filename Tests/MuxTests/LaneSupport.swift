import NIOCore
import Testing

@testable import Mux

/// Lanes of a session under test.
extension Session {
    /// The frames to send over a lane, without PING, PONG and ACK.
    mutating func frames(on lane: UInt32, _ now: Instant = .start) -> [OutboundFrame] {
        var all: [OutboundFrame] = []
        while let frame = nextFrame(on: LaneID(lane), now: now) { all.append(frame) }
        return all.filter { ![.ping, .pong, .ack].contains($0.header.type) }
    }

    /// The same in short form.
    mutating func sent(on lane: UInt32, _ now: Instant = .start) -> [String] { frames(on: lane, now).map(\.short) }

    /// The kind of the error that frames from the peer cause on a lane; nil if they cause none.
    mutating func kind(of frames: InboundFrame..., on lane: UInt32, now: Instant = .start) -> MuxError.Kind? {
        do throws(MuxError) {
            for frame in frames { try receive(frame, on: LaneID(lane), now: now) }
            return nil
        } catch {
            return error.kind
        }
    }

    /// Attaches lanes to a session that has lane 0 only, as both ends do after RESUME.
    mutating func open(lanes: ClosedRange<UInt32>) throws {
        for lane in lanes {
            if role == .client { #expect(requestLane() == LaneID(lane)) }
            #expect(try attach(LaneID(lane), epoch: UInt64(lane), peerReceived: 0, now: .start))
        }
        for lane in laneIDs { _ = frames(on: lane.rawValue) }
        _ = actions()
    }

    /// What the socket of stream 2 gets: its bytes, and `<END>` or `<RESET>`.
    mutating func delivered() -> String {
        actions().map { action in
            switch action {
            case .deliver(two, let bytes): String(buffer: bytes)
            case .end(two): "<END>"
            case .reset(two, _): "<RESET>"
            default: "<\(action)>"
            }
        }
        .joined()
    }
}

/// DATA with its offset.
func data(_ stream: UInt32, at offset: UInt64, _ payload: ByteBuffer) -> InboundFrame {
    OutboundFrame(data: payload, of: StreamID(stream), at: offset, showsOffset: true).arrived
}

func retire(_ lane: UInt32, received: UInt64) -> InboundFrame {
    Retirement(lane: LaneID(lane), received: received).frame(from: .client).arrived
}

func retired(_ lane: UInt32, received: UInt64) -> InboundFrame {
    Retirement(lane: LaneID(lane), received: received).frame(from: .server).arrived
}

func lost(_ lane: UInt32, epoch: UInt64) -> InboundFrame {
    LaneLoss(lane: LaneID(lane), epoch: epoch).frame.arrived
}

/// All orders of some elements.
func permutations<Element>(of all: [Element]) -> [[Element]] {
    guard let last = all.last else { return [[]] }
    return permutations(of: Array(all.dropLast())).flatMap { order in
        (0...order.count).map { index in
            var order = order
            order.insert(last, at: index)
            return order
        }
    }
}
