import NIOCore

/// The payload of RETIRE and RETIRED: an end has left a lane, and reports how many counted frames it has received there.
struct Retirement: Sendable, Hashable {
    /// The lane. The sender reads and sends nothing more on it.
    var lane: LaneID
    /// Counted frames that the sender has received on the lane.
    var received: UInt64

    init(lane: LaneID, received: UInt64) {
        self.lane = lane
        self.received = received
    }

    /// The frame that a role sends: RETIRE from the client, RETIRED from the server.
    func frame(from role: Role) -> OutboundFrame {
        var fields = FieldWriter()
        fields.append(1, number: lane.rawValue)
        fields.append(2, number: received)
        return OutboundFrame(role == .client ? .retire : .retired, .session, fields.bytes)
    }

    init(_ payload: ByteBuffer, of type: FrameType) throws(MuxError) {
        let fields = try FieldReader(payload, of: type)
        self.init(lane: LaneID(try fields.number(1)), received: try fields.number(2))
    }
}

/// The payload of LOST: the server has lost the carrier of a lane, which the client may not know.
struct LaneLoss: Sendable, Hashable {
    /// The lane.
    var lane: LaneID
    /// The epoch of the lost carrier: 0 for the first one of lane 0.
    var epoch: UInt64

    init(lane: LaneID, epoch: UInt64) {
        self.lane = lane
        self.epoch = epoch
    }

    var frame: OutboundFrame {
        var fields = FieldWriter()
        fields.append(1, number: lane.rawValue)
        fields.append(2, number: epoch)
        return OutboundFrame(.lost, .session, fields.bytes)
    }

    init(_ payload: ByteBuffer) throws(MuxError) {
        let fields = try FieldReader(payload, of: .lost)
        self.init(lane: LaneID(try fields.number(1)), epoch: try fields.number(2))
    }
}
