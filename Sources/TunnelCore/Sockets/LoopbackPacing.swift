import NIOCore
import Platform

/// Sends what goes over the machine's own loopback as fast as it is taken, where BBR is the system's choice for TCP.
///
/// BBR holds back what is sent, by a timer for each 64 KiB, at a rate that it takes the path for. Loopback has none, and
/// each timer is an interrupt. Reno holds nothing back, and whoever may open a socket may mostly have it.
///
/// BBR's timers stay with a socket that it has begun with. So this is done before the connection is there where it is known
/// then where that leads, and at a listener, from which connections have it; a visitor of all addresses is known later.
package enum LoopbackPacing {
    #if os(Linux)
    /// The congestion control of a socket.
    package static let option = ChannelOptions.Types.SocketOption(level: .tcp, name: .init(rawValue: TCP_CONGESTION))
    /// The name as the number that has the same bytes: the kernel takes so many of them, or those before the first nought.
    package static let reno: SocketOptionValue = {
        var value: SocketOptionValue = 0
        withUnsafeMutableBytes(of: &value) { $0.copyBytes(from: "reno".utf8) }
        return value
    }()
    /// Whether the system's choice paces, when it is first asked for.
    package static let isSystemsChoice = paces(choice)

    /// Whether a congestion control holds back what is sent.
    package static func paces(_ name: String) -> Bool { name.hasPrefix("bbr") }

    /// What a socket has that nobody has told anything.
    private static var choice: String {
        guard let descriptor = try? StreamSocket.open(AF_INET) else { return "" }
        defer { close(descriptor) }
        var length = socklen_t(16)
        return String(unsafeUninitializedCapacity: Int(length)) { name in
            let failed = getsockopt(descriptor, Int32(IPPROTO_TCP), TCP_CONGESTION, name.baseAddress, &length) != 0
            return failed ? 0 : name.prefix(Int(length)).firstIndex(of: 0) ?? Int(length)
        }
    }
    #endif

    /// For a channel whose other end, or who comes to which, is on loopback.
    package static func end(on channel: any Channel) {
        #if os(Linux)
        guard isSystemsChoice else { return }
        // Where it is not to be had, the system's choice stays. A unix socket has none.
        try? channel.syncOptions?.setOption(option, value: reno)
        #endif
    }

    /// For a socket of which NIO does not know yet.
    package static func end(on descriptor: NIOBSDSocket.Handle) {
        #if os(Linux)
        guard isSystemsChoice else { return }
        var name = reno
        let length = socklen_t(MemoryLayout.size(ofValue: name))
        _ = setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_CONGESTION, &name, length)
        #endif
    }
}
