import NIOCore
import ProxyConnect

extension SocketAddress {
    /// The address by its bits, without text in between; nil for a unix socket.
    var ip: IPAddress? {
        switch self {
        case .v4(let socket): .v4(UInt32(bigEndian: socket.address.sin_addr.s_addr))
        case .v6(let socket): withUnsafeBytes(of: socket.address.sin6_addr) { IPAddress(bytes: $0) }
        case .unixDomainSocket: nil
        }
    }

    /// `203.0.113.9:40001`, `[2001:db8::1]:40001`, or the path of a unix socket.
    var inShort: String {
        guard let ip, let port else { return pathname ?? "unix" }
        switch ip {
        case .v4: return "\(ip):\(port)"
        case .v6: return "[\(ip)]:\(port)"
        }
    }
}
