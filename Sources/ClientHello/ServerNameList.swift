import NIOCore
import NetworkAddress

/// The content of the server_name extension (RFC 6066, section 3).
enum ServerNameList {
    private static let hostNameType: UInt8 = 0

    /// The host name in the list, in lower case and without a final dot; nil if it has none, or an IP address.
    ///
    /// Names of other types are skipped. Two host names are refused, as the RFC demands: of two readers, one may take the
    /// first name and the other the last.
    static func hostName(in data: ByteBuffer) throws(ClientHelloError) -> String? {
        var data = data
        guard var list = data.readLengthPrefixedSlice(as: UInt16.self), data.readableBytes == 0,
            list.readableBytes > 0
        else { throw .malformed(.serverName) }
        var found: ByteBuffer?
        while list.readableBytes > 0 {
            guard let type = list.readInteger(as: UInt8.self),
                let name = list.readLengthPrefixedSlice(as: UInt16.self), name.readableBytes > 0
            else { throw .malformed(.serverName) }
            guard type == hostNameType else { continue }
            guard found == nil else { throw .malformed(.serverName) }
            found = name
        }
        guard let found else { return nil }
        return try normalized(found)
    }

    private static func normalized(_ name: ByteBuffer) throws(ClientHelloError) -> String? {
        var bytes = name.readableBytesView
        if bytes.last == UInt8(ascii: ".") { bytes = bytes.dropLast() }
        // A name has at most 253 bytes, and each of them is a letter, a digit, or one of three signs.
        guard bytes.count <= 253, bytes.last != UInt8(ascii: "."), let text = String(validating: bytes, as: UTF8.self)
        else { throw .malformed(.serverName) }
        guard IPAddress(text) == nil else { return nil }
        guard let host = HostName.normalized(text) else { throw .malformed(.serverName) }
        return host.lowercased()
    }
}
