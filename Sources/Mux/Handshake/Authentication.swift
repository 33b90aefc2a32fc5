/// The payload of AUTHENTICATE: the client's request for a new session.
public struct Authentication: Sendable, Hashable {
    /// The version that the client chose from the server's list.
    public var version: UInt16
    /// The client's public id, 16 bytes, derived from its token.
    public var id: [UInt8]
    /// 32 fresh random bytes.
    public var nonce: [UInt8]
    /// Identifies the client's process by a hash of machine, user and `--name`, 32 bytes. It survives a restart, so
    /// that the process gets its ports back.
    public var instance: [UInt8]
    /// The client's name for the operator's log.
    public var name: String
    /// The `host:port` of the URL that the client dialled. The proof covers it. The server does not compare it, since a
    /// front may have changed the name.
    public var authority: String
    /// Bytes that the server may send on a new stream before the first CREDIT.
    public var initialWindow: UInt32
    /// The client's software and its version.
    public var software: String
    /// Concurrent streams that the client accepts; nil if it does not say.
    public var streams: UInt32?
    /// Streams among them that may wait for ACCEPT; nil if it does not say.
    public var opening: UInt32?
    /// The id of the session whose RESUME was answered with `unknownSession` on this carrier, 16 bytes; nil for none. The
    /// server compares it with its own answer.
    public var denied: [UInt8]?

    /// Creates the client's request.
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

    /// The fields without the proof, which covers exactly these bytes.
    var unproved: FieldWriter {
        var fields = outer
        appendInner(to: &fields)
        return fields
    }

    /// The fields that a sealed AUTHENTICATE has in clear: what the server needs to find the client's keys.
    var outer: FieldWriter {
        var fields = FieldWriter()
        fields.append(1, number: version)
        fields.append(2, id)
        return fields
    }

    /// The other fields, without the proof.
    var inner: FieldWriter {
        var fields = FieldWriter()
        appendInner(to: &fields)
        return fields
    }

    private func appendInner(to fields: inout FieldWriter) {
        fields.append(3, nonce)
        fields.append(4, instance)
        fields.append(5, name, atMost: 64)
        fields.append(6, authority, atMost: 300)
        fields.append(7, number: initialWindow)
        fields.append(8, software, atMost: 64)
        if let streams { fields.append(9, number: streams) }
        if let opening { fields.append(10, number: opening) }
        if let denied { fields.append(12, denied) }
    }

    /// - Parameters:
    ///   - outer: the fields in clear.
    ///   - fields: the others; the same reader if none is sealed.
    init(_ outer: FieldReader, _ fields: FieldReader) throws(MuxError) {
        streams = try fields.optionalNumber(9)
        opening = try fields.optionalNumber(10)
        denied = fields.bytes(12) == nil ? nil : try fields.bytes(12, count: 16)
        version = try outer.number(1)
        id = try outer.bytes(2, count: 16)
        nonce = try fields.bytes(3, count: 32)
        instance = try fields.bytes(4, count: 32)
        name = try fields.text(5, atMost: 64)
        authority = try fields.text(6, atMost: 300)
        initialWindow = try fields.number(7)
        software = try fields.text(8, atMost: 64)
    }
}
