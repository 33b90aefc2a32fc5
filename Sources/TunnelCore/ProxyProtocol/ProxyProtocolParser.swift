import NIOCore
import NetworkAddress

/// Reads the header of the PROXY protocol, either version, from the beginning of a connection, strictly, and never more
/// than its bound.
package struct ProxyProtocolParser: Sendable {
    /// The longest line of v1 with its end.
    package static let longestLine = 107
    /// Most bytes of version 2 behind its first 16: addresses, and further fields (TLVs).
    package static let longestRest = 2_048

    /// Why a beginning is no header.
    package enum Failure: Error, Sendable, Equatable {
        /// Something else stands there.
        case notAHeader
        /// It begins as a header does, and breaks its rules.
        case malformed
    }

    /// The header, taken off the buffer; nil when more bytes are needed. What follows it stays.
    package func receive(_ buffer: inout ByteBuffer) throws(Failure) -> ProxyProtocolHeader? {
        guard let first = buffer.readableBytesView.first else { return nil }
        return first == 0x0D ? try receiveBinary(&buffer) : try receiveLine(&buffer)
    }

    private func receiveLine(_ buffer: inout ByteBuffer) throws(Failure) -> ProxyProtocolHeader? {
        let start = buffer.readableBytesView.prefix(Self.longestLine)
        let prefix = Array("PROXY ".utf8)
        guard start.prefix(prefix.count).elementsEqual(prefix.prefix(start.count)) else { throw .notAHeader }
        guard let end = start.firstIndex(of: 0x0A) else {
            guard start.count < Self.longestLine else { throw .malformed }
            return nil
        }
        let line = start[..<end]
        guard line.last == 0x0D else { throw .malformed }
        let header = try Self.header(String(decoding: line.dropLast(), as: UTF8.self))
        buffer.moveReaderIndex(forwardBy: line.count + 1)
        return header
    }

    private static func header(_ line: String) throws(Failure) -> ProxyProtocolHeader {
        let parts = line.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
        guard parts.count >= 2 else { throw .malformed }
        if parts[1] == "UNKNOWN" { return ProxyProtocolHeader(source: nil, destination: nil) }
        guard parts.count == 6, let source = IPAddress(parts[2]), let destination = IPAddress(parts[3]),
            let from = Port.parse(Substring(parts[4])), let to = Port.parse(Substring(parts[5]))
        else { throw .malformed }
        switch (parts[1], source, destination) {
        case ("TCP4", .v4, .v4), ("TCP6", .v6, .v6):
            return ProxyProtocolHeader(
                source: ProxyProtocolEnd(address: source, port: from),
                destination: ProxyProtocolEnd(address: destination, port: to)
            )
        default:
            throw .malformed
        }
    }

    private func receiveBinary(_ buffer: inout ByteBuffer) throws(Failure) -> ProxyProtocolHeader? {
        let start = Array(buffer.readableBytesView.prefix(16))
        let signature = ProxyProtocolHeader.signature
        guard start.prefix(signature.count).elementsEqual(signature.prefix(start.count)) else { throw .notAHeader }
        guard start.count == 16 else { return nil }
        let length = Int(start[14]) << 8 | Int(start[15])
        guard start[12] == 0x20 || start[12] == 0x21, length <= Self.longestRest else { throw .malformed }
        guard buffer.readableBytes >= 16 + length else { return nil }
        buffer.moveReaderIndex(forwardBy: 16)
        var rest = buffer.readSlice(length: length) ?? ByteBuffer()
        // LOCAL is the front's own connection. Families other than TCP over IP have no address here.
        guard start[12] == 0x21, start[13] == 0x11 || start[13] == 0x21 else {
            return ProxyProtocolHeader(source: nil, destination: nil)
        }
        let width = start[13] == 0x11 ? 4 : 16
        guard let source = rest.readBytes(length: width).flatMap({ IPAddress(bytes: $0) }),
            let destination = rest.readBytes(length: width).flatMap({ IPAddress(bytes: $0) }),
            let from = rest.readInteger(as: UInt16.self), let to = rest.readInteger(as: UInt16.self)
        else { throw .malformed }
        return ProxyProtocolHeader(
            source: ProxyProtocolEnd(address: source, port: from),
            destination: ProxyProtocolEnd(address: destination, port: to),
            authority: Self.authority(in: rest)
        )
    }

    /// The host among the further fields. They are optional information, so fields that do not fit are ignored from
    /// there on, as other readers do.
    private static func authority(in fields: ByteBuffer) -> String? {
        var fields = fields
        while let type = fields.readInteger(as: UInt8.self),
            let value = fields.readLengthPrefixedSlice(as: UInt16.self)
        {
            guard type == ProxyProtocolHeader.authorityType else { continue }
            return String(validating: value.readableBytesView, as: UTF8.self)
        }
        return nil
    }
}
