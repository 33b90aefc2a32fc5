/// The payload of RESUME: the client's request to move a session to a new carrier.
public struct Resumption: Sendable, Hashable {
    /// The session's id from WELCOME.
    public var session: [UInt8]
    /// The lane that gets the carrier. A number that the session has not used opens a further lane.
    public var lane: LaneID
    /// A number higher than every epoch that this lane has used.
    public var epoch: UInt64
    /// Counted frames that the client has received on the lane.
    public var received: UInt64
    /// 32 fresh random bytes.
    public var nonce: [UInt8]

    /// Creates a request.
    public init(session: [UInt8], lane: LaneID = .first, epoch: UInt64, received: UInt64, nonce: [UInt8]) {
        self.session = session
        self.lane = lane
        self.epoch = epoch
        self.received = received
        self.nonce = nonce
    }

    var unproved: FieldWriter {
        var fields = FieldWriter()
        fields.append(1, session)
        fields.append(2, number: epoch)
        fields.append(3, number: received)
        fields.append(4, nonce)
        if lane != .first { fields.append(5, number: lane.rawValue) }
        return fields
    }

    init(_ fields: FieldReader) throws(MuxError) {
        session = try fields.bytes(1, count: 16)
        epoch = try fields.number(2)
        received = try fields.number(3)
        nonce = try fields.bytes(4, count: 32)
        lane = LaneID(try fields.optionalNumber(5) ?? 0)
    }
}
