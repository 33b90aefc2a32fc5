import NIOCore
import NetworkAddress

/// The types of address (RFC 1928, section 5).
enum SocksAddressType {
    static let ipv4: UInt8 = 1
    static let name: UInt8 = 3
    static let ipv6: UInt8 = 4

    /// Whether this is one of the three.
    static func isKnown(_ type: UInt8) -> Bool { [ipv4, name, ipv6].contains(type) }

    /// Reads the bytes of an address; nil if it is not complete.
    static func read(_ type: UInt8, _ buffer: inout ByteBuffer) -> [UInt8]? {
        switch type {
        case ipv4: return buffer.readBytes(length: 4)
        case ipv6: return buffer.readBytes(length: 16)
        default:
            guard let length = buffer.readInteger(as: UInt8.self) else { return nil }
            return buffer.readBytes(length: Int(length))
        }
    }

    /// The host and port that they stand for; nil for a text that is not a name.
    static func target(_ type: UInt8, _ bytes: [UInt8], _ port: UInt16) -> HostPort? {
        let host = type == name ? String(validating: bytes, as: UTF8.self) : IPAddress(bytes: bytes)?.description
        return host.flatMap { target($0, port) }
    }

    /// Some programs send an IPv6 address as a name.
    static func target(_ host: String, _ port: UInt16) -> HostPort? {
        HostPort(host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)")
    }
}
