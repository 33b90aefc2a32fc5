import Foundation

#if canImport(Glibc)
import Glibc
private let datagramType = Int32(SOCK_DGRAM.rawValue)
#else
private let datagramType = SOCK_DGRAM
#endif

/// A blocking UDP socket on a loopback address.
public final class UDPSocket: Sendable {
    private let descriptor: Int32

    /// Binds a socket.
    ///
    /// - Parameters:
    ///   - port: 0 for one that the system chooses.
    ///   - timeout: the longest wait for a datagram.
    ///   - shares: whether it sets SO_REUSEADDR, with which sockets may share a port.
    public init(
        address: String = "127.0.0.1",
        port: UInt16 = 0,
        timeout: Duration = .seconds(20),
        shares: Bool = false
    ) throws {
        descriptor = socket(AF_INET, datagramType, 0)
        guard descriptor >= 0 else { throw SocketError.system(call: "socket", errno: errno) }
        if shares {
            var on: Int32 = 1
            setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        }
        var name = socketAddress(address, port)
        let result = withSockAddr(&name) { pointer, length in bind(descriptor, pointer, length) }
        guard result == 0 else { throw SocketError.system(call: "bind", errno: errno) }
        var time = timeval(tv_sec: Int(timeout.components.seconds), tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit {
        close(descriptor)
    }

    /// The port of this socket.
    public var port: UInt16 { boundPort(descriptor) }

    /// Sends one datagram to a loopback port.
    public func send(_ bytes: [UInt8], to port: UInt16, address: String = "127.0.0.1") throws {
        var name = socketAddress(address, port)
        let sent = withSockAddr(&name) { pointer, length in
            bytes.withUnsafeBytes { sendto(descriptor, $0.baseAddress, $0.count, 0, pointer, length) }
        }
        guard sent == bytes.count else { throw SocketError.system(call: "sendto", errno: errno) }
    }

    /// The next datagram, and the address and port that have sent it.
    public func receive() throws -> (bytes: [UInt8], address: String, port: UInt16) {
        var bytes = [UInt8](repeating: 0, count: 65_536)
        var name = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let count = withUnsafeMutablePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                recvfrom(descriptor, &bytes, bytes.count, 0, $0, &length)
            }
        }
        guard count >= 0 else { throw SocketError.system(call: "recvfrom", errno: errno) }
        let address = withUnsafeBytes(of: name.sin_addr) { $0.map { "\($0)" }.joined(separator: ".") }
        return (Array(bytes.prefix(count)), address, UInt16(bigEndian: name.sin_port))
    }
}
