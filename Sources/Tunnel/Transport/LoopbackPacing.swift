import NIOCore
import NIOPosix

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Sends what goes over the machine's own loopback as fast as it is taken, where BBR is the system's choice for TCP.
///
/// BBR holds back what is sent, by a timer for each 64 KiB, at a rate that it takes the path for. Loopback has none, and
/// each timer is an interrupt. Reno holds nothing back, and whoever may open a socket may mostly have it.
///
/// BBR's timers stay with a socket that it has begun with. So this is done before the connection is there where it is known
/// then where that leads, and at a listener, from which connections have it; a visitor of all addresses is known later.
enum LoopbackPacing {
    #if os(Linux)
    /// The congestion control of a socket.
    static let option = ChannelOptions.Types.SocketOption(level: .tcp, name: .init(rawValue: TCP_CONGESTION))
    /// The name as the number that has the same bytes: the kernel takes so many of them, or those before the first nought.
    static let reno: SocketOptionValue = {
        var value: SocketOptionValue = 0
        withUnsafeMutableBytes(of: &value) { $0.copyBytes(from: "reno".utf8) }
        return value
    }()
    /// Whether the system's choice paces, when the process begins.
    static let isSystemsChoice = paces(choice)

    /// Whether a congestion control holds back what is sent.
    static func paces(_ name: String) -> Bool { name.hasPrefix("bbr") }

    private static var choice: String {
        let file = open("/proc/sys/net/ipv4/tcp_congestion_control", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return "" }
        defer { close(file) }
        return String(unsafeUninitializedCapacity: 16) { max(0, read(file, $0.baseAddress, $0.count)) }
    }
    #endif

    /// For a channel whose other end, or who comes to which, is on loopback.
    static func end(on channel: any Channel) {
        #if os(Linux)
        guard isSystemsChoice else { return }
        // Where it is not to be had, the system's choice stays.
        try? channel.syncOptions?.setOption(option, value: reno)
        #endif
    }

    /// For a socket of which NIO does not know yet.
    static func end(on descriptor: NIOBSDSocket.Handle) {
        #if os(Linux)
        guard isSystemsChoice else { return }
        var name = reno
        let length = socklen_t(MemoryLayout.size(ofValue: name))
        _ = setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_CONGESTION, &name, length)
        #endif
    }
}
