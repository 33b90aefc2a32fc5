import Foundation
import Platform

/// A unix datagram socket, like the one on which systemd receives notifications.
public final class DatagramSocket: Sendable {
    /// The path of the socket.
    public let path: String
    private let descriptor: Int32

    /// Binds a socket.
    public init(path: String) throws {
        self.path = path
        #if canImport(Glibc)
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        #else
        descriptor = socket(AF_UNIX, SOCK_DGRAM, 0)
        #endif
        guard descriptor >= 0 else { throw SocketError.system(call: "socket", errno: errno) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let name = Array(path.utf8)
        guard name.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw ScenarioFailure(description: "\(path) is too long for a socket")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else { throw SocketError.system(call: "bind", errno: errno) }
        var timeout = timeval(tv_sec: 20, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit {
        close(descriptor)
    }

    /// Receives the next datagram's text.
    public func receive() throws -> String {
        var bytes = [UInt8](repeating: 0, count: 4_096)
        let count = recv(descriptor, &bytes, bytes.count, 0)
        guard count >= 0 else { throw SocketError.system(call: "recv", errno: errno) }
        return String(decoding: bytes.prefix(count), as: UTF8.self)
    }

    /// Receives datagrams up to one with this prefix. Only watchdog notifications may precede it.
    public func expect(_ prefix: String) throws {
        while true {
            let text = try receive()
            if text.hasPrefix(prefix) { return }
            guard text == "WATCHDOG=1" else { throw ScenarioFailure(description: "\(text) instead of \(prefix)") }
        }
    }
}
