import NIOCore

/// The version of the protocol that this module speaks.
public let protocolVersion: UInt16 = 1

/// CHALLENGE: the server's first frame on every carrier.
public struct Challenge: Sendable, Hashable {
    /// Versions that the server speaks.
    public var versions: [UInt16]
    /// 32 fresh random bytes; single use.
    public var nonce: [UInt8]
    /// The server's software and its version, for the client's log.
    public var software: String

    var payload: ByteBuffer {
        var fields = FieldWriter()
        fields.append(1, versions.flatMap { [UInt8(truncatingIfNeeded: $0 >> 8), UInt8(truncatingIfNeeded: $0)] })
        fields.append(2, nonce)
        fields.append(3, software, atMost: 64)
        return fields.bytes
    }

    init(versions: [UInt16] = [protocolVersion], nonce: [UInt8], software: String) {
        self.versions = versions
        self.nonce = nonce
        self.software = software
    }

    init(_ payload: ByteBuffer) throws(MuxError) {
        let fields = try FieldReader(payload, of: .challenge)
        let versions = fields.bytes(1) ?? []
        guard versions.count.isMultiple(of: 2), (2...64).contains(versions.count) else {
            throw MuxError(.malformedPayload, "challenge: list of versions")
        }
        self.versions = stride(from: 0, to: versions.count, by: 2).map {
            UInt16(versions[$0]) << 8 | UInt16(versions[$0 + 1])
        }
        self.nonce = try fields.bytes(2, count: 32)
        self.software = try fields.text(3, atMost: 64)
    }
}

/// AUTHENTICATE: the client asks for a new session.
public struct Authentication: Sendable, Hashable {
    /// The version that the client chose among the server's.
    public var version: UInt16
    /// The client's public name, 16 bytes, derived from its token.
    public var id: [UInt8]
    /// 32 fresh random bytes.
    public var nonce: [UInt8]
    /// Which of the client's processes this is: a hash of machine, user and `--name`, 32 bytes. The same after a
    /// restart, so that a process gets its ports back.
    public var instance: [UInt8]
    /// The client's own name, for the operator's log.
    public var name: String
    /// Whom the client believes to talk to, `host:port` of the URL. Inside the proof; the server does not compare it,
    /// since a front may have changed its name.
    public var authority: String
    /// What the server may send on a new stream before the first CREDIT, bytes.
    public var initialWindow: UInt32
    /// The client's software and its version.
    public var software: String
    /// Streams that the client takes at a time; nil if it does not say.
    public var streams: UInt32?
    /// Of these, the ones that may wait for its services; nil if it does not say.
    public var opening: UInt32?

    /// Creates the client's part of an opening.
    public init(
        id: [UInt8],
        nonce: [UInt8],
        instance: [UInt8],
        name: String,
        authority: String,
        initialWindow: UInt32,
        software: String,
        streams: UInt32? = nil,
        opening: UInt32? = nil
    ) {
        (self.streams, self.opening) = (streams, opening)
        self.version = protocolVersion
        self.id = id
        self.nonce = nonce
        self.instance = instance
        self.name = name
        self.authority = authority
        self.initialWindow = initialWindow
        self.software = software
    }

    /// All fields but the proof, which covers exactly these bytes.
    var unproved: FieldWriter {
        var fields = FieldWriter()
        fields.append(1, number: version)
        fields.append(2, id)
        fields.append(3, nonce)
        fields.append(4, instance)
        fields.append(5, name, atMost: 64)
        fields.append(6, authority, atMost: 300)
        fields.append(7, number: initialWindow)
        fields.append(8, software, atMost: 64)
        if let streams { fields.append(9, number: streams) }
        if let opening { fields.append(10, number: opening) }
        return fields
    }

    init(_ fields: FieldReader) throws(MuxError) {
        streams = try fields.optionalNumber(9)
        opening = try fields.optionalNumber(10)
        version = try fields.number(1)
        id = try fields.bytes(2, count: 16)
        nonce = try fields.bytes(3, count: 32)
        instance = try fields.bytes(4, count: 32)
        name = try fields.text(5, atMost: 64)
        authority = try fields.text(6, atMost: 300)
        initialWindow = try fields.number(7)
        software = try fields.text(8, atMost: 64)
    }
}

/// WELCOME: the server grants a session.
public struct Welcome: Sendable, Hashable {
    /// The session's name for RESUME, 16 random bytes.
    public var session: [UInt8]
    /// What the client may send on a new stream before the first CREDIT, bytes.
    public var initialWindow: UInt32
    /// How long the server keeps the session without a carrier, seconds; 0 where it does not.
    public var grace: UInt32
    /// What the client may show to be known when it connects again, at most ``longestTicket`` bytes; empty for none.
    public var ticket: [UInt8]

    /// The longest ticket, bytes.
    public static let longestTicket = 64

    /// Creates the server's grant.
    public init(session: [UInt8], initialWindow: UInt32, grace: UInt32, ticket: [UInt8] = []) {
        self.ticket = ticket
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
        return fields
    }

    init(_ fields: FieldReader) throws(MuxError) {
        session = try fields.bytes(1, count: 16)
        initialWindow = try fields.number(2)
        grace = try fields.number(3)
        ticket = try fields.ticket(4)
    }
}

extension FieldReader {
    /// A ticket; empty if there is none.
    func ticket(_ tag: UInt8) throws(MuxError) -> [UInt8] {
        guard let ticket = bytes(tag) else { return [] }
        guard ticket.count <= Welcome.longestTicket else {
            throw MuxError(.malformedPayload, "a ticket of \(ticket.count) bytes")
        }
        return ticket
    }
}

/// RESUME: the client brings a new carrier to a living session.
public struct Resumption: Sendable, Hashable {
    /// The session's name from WELCOME.
    public var session: [UInt8]
    /// Higher than every epoch that this session has seen.
    public var epoch: UInt64
    /// Counted frames that the client has received.
    public var received: UInt64
    /// 32 fresh random bytes.
    public var nonce: [UInt8]

    /// Creates the client's part of a resume.
    public init(session: [UInt8], epoch: UInt64, received: UInt64, nonce: [UInt8]) {
        self.session = session
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
        return fields
    }

    init(_ fields: FieldReader) throws(MuxError) {
        session = try fields.bytes(1, count: 16)
        epoch = try fields.number(2)
        received = try fields.number(3)
        nonce = try fields.bytes(4, count: 32)
    }
}
