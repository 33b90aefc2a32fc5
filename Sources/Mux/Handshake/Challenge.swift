import NIOCore
import Seal

/// The protocol version that this module implements.
public let protocolVersion: UInt16 = 2

/// The payload of CHALLENGE, the server's first frame on every carrier.
public struct Challenge: Sendable, Hashable {
    /// The versions that the server supports.
    public var versions: [UInt16]
    /// 32 fresh random bytes, used once.
    public var nonce: [UInt8]
    /// The server's software and version, for the client's log.
    public var software: String
    /// The server's static key; nil if it does not seal sessions.
    public var key: ServerPublicKey?

    var payload: ByteBuffer {
        var fields = FieldWriter()
        fields.append(1, versions.flatMap { [UInt8(truncatingIfNeeded: $0 >> 8), UInt8(truncatingIfNeeded: $0)] })
        fields.append(2, nonce)
        fields.append(3, software, atMost: 64)
        if let key { fields.append(SealedFields.Tag.challenge, key.rawRepresentation) }
        return fields.bytes
    }

    init(versions: [UInt16] = [protocolVersion], nonce: [UInt8], software: String, key: ServerPublicKey? = nil) {
        self.key = key
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
        let tag = SealedFields.Tag.challenge
        if fields.bytes(tag) != nil {
            self.key = ServerPublicKey(rawRepresentation: try fields.bytes(tag, count: 32))
        }
    }
}
