import NIOCore
import Platform

/// Connects to a service on loopback without waiting for the event loop. The kernel usually joins both ends before `connect`
/// returns, while NIO would notice in the loop's next iteration, under a timer.
package enum LoopbackConnect {
    /// A socket that is connected to `address`; the caller owns it.
    ///
    /// Nil if the address is not a loopback address, or if the kernel takes longer, for instance because the service's queue
    /// is full. The caller then connects by NIO. The attempt before is reset, and the service usually does not see it.
    ///
    /// - Throws: `IOError`, for instance if no program listens.
    package static func connected(to address: SocketAddress) throws -> NIOBSDSocket.Handle? {
        #if os(Linux)
        // Not an IPv4 address in IPv6's form: whether a socket takes that is a setting of the system's.
        guard let ip = address.ip, ip.isLoopback, ip == ip.unmapped else { return nil }
        let descriptor = try StreamSocket.open(address.protocol == .inet6 ? AF_INET6 : AF_INET)
        SocketOptions.keepUrgentData(of: descriptor)
        do {
            if try isConnected(descriptor, to: address) { return descriptor }
        } catch {
            close(descriptor)
            throw error
        }
        var now = linger(l_onoff: 1, l_linger: 0)
        _ = setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &now, socklen_t(MemoryLayout<linger>.size))
        close(descriptor)
        #endif
        return nil
    }

    private static func isConnected(_ descriptor: NIOBSDSocket.Handle, to address: SocketAddress) throws -> Bool {
        try address.withSockAddr { pointer, length in
            if connect(descriptor, pointer, socklen_t(length)) == 0 { return true }
            guard errno == EINPROGRESS || errno == EINTR else { throw IOError(errnoCode: errno, reason: "connect") }
            // Both ends are usually joined by now. A second `connect` would say so too, but throws away what a service has
            // sent that has reset the connection already.
            guard let state = TCPState(descriptor), !state.isConnected else { return true }
            return try state.isClosed && hasBytes(descriptor)
        }
    }

    /// - Throws: `IOError`: why the connection is over, if the service has sent nothing.
    private static func hasBytes(_ descriptor: NIOBSDSocket.Handle) throws -> Bool {
        var byte: UInt8 = 0
        guard recv(descriptor, &byte, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT)) < 0 else { return true }
        throw IOError(errnoCode: errno, reason: "connect")
    }
}
