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

    /// The fields without the proof, which covers exactly these bytes.
    var unproved: FieldWriter {
        var fields = outer
        appendInner(to: &fields)
        return fields
    }

    /// The field that a sealed RESUME has in clear: what the server needs to find the session's keys.
    var outer: FieldWriter {
        var fields = FieldWriter()
        fields.append(1, session)
        return fields
    }

    /// The other fields, without the proof.
    var inner: FieldWriter {
        var fields = FieldWriter()
        appendInner(to: &fields)
        return fields
    }

    private func appendInner(to fields: inout FieldWriter) {
        fields.append(2, number: epoch)
        fields.append(3, number: received)
        fields.append(4, nonce)
        if lane != .first { fields.append(5, number: lane.rawValue) }
    }

    /// - Parameters:
    ///   - outer: the field in clear.
    ///   - fields: the others; the same reader if none is sealed.
    init(_ outer: FieldReader, _ fields: FieldReader) throws(MuxError) {
        session = try outer.bytes(1, count: 16)
        epoch = try fields.number(2)
        received = try fields.number(3)
        nonce = try fields.bytes(4, count: 32)
        lane = LaneID(try fields.optionalNumber(5) ?? 0)
    }
}
