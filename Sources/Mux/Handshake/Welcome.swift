/// The payload of WELCOME: the server's grant of a session.
public struct Welcome: Sendable, Hashable {
    /// The session's id for RESUME, 16 random bytes.
    public var session: [UInt8]
    /// Bytes that the client may send on a new stream before the first CREDIT.
    public var initialWindow: UInt32
    /// Seconds that the server keeps the session without a carrier; 0 if it does not.
    public var grace: UInt32
    /// A ticket for the client's next connection, at most ``longestTicket`` bytes; empty for none.
    public var ticket: [UInt8]

    /// Concurrent streams that the server accepts from the client; nil if it does not say.
    public var streams: UInt32?
    /// Streams among them that may wait for ACCEPT; nil if it does not say.
    public var opening: UInt32?

    /// The longest ticket, bytes.
    public static let longestTicket = 64

    /// Creates a grant.
    public init(
        session: [UInt8],
        initialWindow: UInt32,
        grace: UInt32,
        ticket: [UInt8] = [],
        streams: UInt32? = nil,
        opening: UInt32? = nil
    ) {
        self.ticket = ticket
        (self.streams, self.opening) = (streams, opening)
        self.session = session
        self.initialWindow = initialWindow
        self.grace = grace
    }

    var unproved: FieldWriter {
        var fields = FieldWriter()
        fields.append(1, session)
        fields.append(2, number: initialWindow)
        fields.append(3, number: grace)
        if !ticket.isEmpty { fields.append(4, ticket) }
        if let streams { fields.append(5, number: streams) }
        if let opening { fields.append(6, number: opening) }
        return fields
    }

    init(_ fields: FieldReader) throws(MuxError) {
        session = try fields.bytes(1, count: 16)
        initialWindow = try fields.number(2)
        grace = try fields.number(3)
        ticket = try fields.ticket(4)
        streams = try fields.optionalNumber(5)
        opening = try fields.optionalNumber(6)
    }
}

extension FieldReader {
    /// Returns a ticket; empty if the field is absent.
    ///
    /// - Throws: ``MuxError`` if the ticket is longer than ``Welcome/longestTicket``.
    func ticket(_ tag: UInt8) throws(MuxError) -> [UInt8] {
        guard let ticket = bytes(tag) else { return [] }
        guard ticket.count <= Welcome.longestTicket else {
            throw MuxError(.malformedPayload, "a ticket of \(ticket.count) bytes")
        }
        return ticket
    }
}
