import Glibc

/// Reads the queues of this process's listeners from the kernel.
public enum ListenQueue {
    /// The limit of the queue of a loopback port; nil if no socket listens.
    public static func length(of port: UInt16) -> Int? {
        for descriptor: Int32 in 0..<4_096 where isListening(descriptor, on: port) {
            var info = tcp_info()
            var size = socklen_t(MemoryLayout<tcp_info>.size)
            guard getsockopt(descriptor, Int32(IPPROTO_TCP), TCP_INFO, &info, &size) == 0 else { continue }
            // For a listener this field has the limit of the queue.
            return Int(info.tcpi_sacked)
        }
        return nil
    }

    private static func isListening(_ descriptor: Int32, on port: UInt16) -> Bool {
        var isListener: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        guard getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &isListener, &size) == 0, isListener != 0 else {
            return false
        }
        var address = sockaddr_in()
        size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isNamed = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &size) == 0 }
        }
        return isNamed && address.sin_family == sa_family_t(AF_INET) && UInt16(bigEndian: address.sin_port) == port
    }
}
