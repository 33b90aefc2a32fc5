import NIOCore
import NetworkAddress
import Platform

extension SocketAddress {
    /// The address by its bits, without text in between; nil for a unix socket.
    package var ip: IPAddress? {
        switch self {
        case .v4(let socket): .v4(UInt32(bigEndian: socket.address.sin_addr.s_addr))
        case .v6(let socket): withUnsafeBytes(of: socket.address.sin6_addr) { IPAddress(bytes: $0) }
        case .unixDomainSocket: nil
        }
    }

    /// `203.0.113.9:40001`, `[2001:db8::1]:40001`, or the path of a unix socket.
    package var inShort: String {
        guard let ip, let port else { return pathname ?? "unix" }
        return Self.inShort(ip, port)
    }

    /// The same, with an IPv4 address as such also if an IPv6 socket writes it as ::ffff:203.0.113.9.
    package var inShortUnmapped: String {
        guard let ip, let port else { return inShort }
        return Self.inShort(ip.unmapped, port)
    }

    private static func inShort(_ ip: IPAddress, _ port: Int) -> String {
        switch ip {
        case .v4: "\(ip):\(port)"
        case .v6: "[\(ip)]:\(port)"
        }
    }
}

extension Channel {
    /// The address of the other side, also if it has reset the connection by now: the channel does not know it then.
    package var peerAddress: SocketAddress? {
        if let remoteAddress { return remoteAddress }
        #if os(Linux)
        // The system wants the exact size of the family's address, and takes a shorter one.
        guard let start = peerName(as: sockaddr_in.self) else { return nil }
        return switch Int32(start.sin_family) {
        case AF_INET: SocketAddress(start)
        case AF_INET6: peerName(as: sockaddr_in6.self).map { SocketAddress($0) }
        default: nil
        }
        #else
        return nil
        #endif
    }

    /// The other side for the log: its address, or the user and the process at a Unix socket.
    package var peerDescription: String {
        guard let address = peerAddress, address.ip != nil else { return credentials ?? "unix" }
        return address.inShort
    }

    /// The user and the process at the other end of a Unix socket, when it connected (unix(7), SO_PEERCRED).
    private var credentials: String? {
        #if os(Linux)
        guard let options = self as? any SocketOptionProvider else { return nil }
        var known: PeerCredentials?
        options.unsafeGetSocketOption(level: .socket, name: .init(rawValue: SO_PEERCRED)).assumeIsolated()
            .whenSuccess { (found: PeerCredentials) in known = found }
        return known.map { "user \($0.user) process \($0.process)" }
        #else
        return nil
        #endif
    }

    #if os(Linux)
    private func peerName<Name: Sendable>(as: Name.Type) -> Name? {
        guard let options = self as? any SocketOptionProvider else { return nil }
        var name: Name?
        options.unsafeGetSocketOption(level: .socket, name: .init(rawValue: SO_PEERNAME)).assumeIsolated()
            .whenSuccess { (known: Name) in name = known }
        return name
    }
    #endif
}

#if os(Linux)
/// The kernel's `struct ucred`.
private struct PeerCredentials: Sendable {
    let process: Int32
    let user: UInt32
    let group: UInt32
}
#endif
