import NIOCore
import NetworkAddress

/// The header of a datagram between a program and a SOCKS 5 relay (RFC 1928, section 7).
///
/// ```
/// +-----+------+------+----------+----------+
/// | RSV | FRAG | ATYP | DST.ADDR | DST.PORT |  then the datagram
/// +-----+------+------+----------+----------+
///    2     1      1     variable      2
/// ```
///
/// A reply has the header of the datagrams that it answers, so that the program finds the destination as it has written it.
public struct SocksDatagram: Sendable, Hashable {
    /// Where the datagram leads, or where it comes from.
    public let destination: HostPort
    /// The header, for replies.
    public let header: ByteBuffer

    /// Takes the header from a program's datagram.
    ///
    /// - Returns: nil if the header is cut short or malformed, or if the datagram is a fragment, which this relay does not
    ///   join.
    public static func takeHeader(_ datagram: inout ByteBuffer) -> SocksDatagram? {
        var rest = datagram
        guard let reserved = rest.readInteger(as: UInt16.self), reserved == 0,
            let fragment = rest.readInteger(as: UInt8.self), fragment == 0,
            let type = rest.readInteger(as: UInt8.self),
            SocksAddressType.isKnown(type), let address = SocksAddressType.read(type, &rest),
            let port = rest.readInteger(as: UInt16.self),
            let destination = SocksAddressType.target(type, address, port)
        else { return nil }
        let length = datagram.readableBytes - rest.readableBytes
        guard let header = datagram.getSlice(at: datagram.readerIndex, length: length) else { return nil }
        datagram = rest
        return SocksDatagram(destination: destination, header: header)
    }
}
