import NIOCore
import NIOPosix
import Platform

/// The options of every socket, in one place.
package enum SocketOptions {
    /// The largest read of a busy socket. 256 KiB: a relay's speed depends on the size of its reads.
    package static let largestRead = 262_144

    /// Unsent bytes of a carrier: from `most` on it takes nothing more, until `least` is reached.
    package static let unsentBytes = (least: 65_536, most: 262_144)

    /// Options of a public port. Accepted sockets inherit them: no delay of small segments, keep-alive, and urgent data in
    /// its place of the stream.
    package static func publicPort(_ channel: any Channel) throws {
        guard let options = channel.syncOptions else { return }
        try network(options)
        try keepUrgentData(options)
    }

    /// Options of a visitor's socket, which a ``publicPort(_:)`` has accepted.
    package static func visitor(_ channel: any Channel) throws {
        guard let options = channel.syncOptions else { return }
        try stream(options)
    }

    /// Options of a socket to a service.
    package static func service(_ channel: any Channel) throws {
        guard let options = channel.syncOptions else { return }
        DescriptorCount.shared.track(channel)
        try stream(options)
        resetOnClose(channel)
        // NIO has set TCP_NODELAY on what it dials.
        try options.setOption(.socketOption(.so_keepalive), value: 1)
        try keepUrgentData(options)
    }

    /// Without this the kernel takes an urgent byte out of the stream: telnet and FTP send some.
    private static func keepUrgentData(_ options: any NIOSynchronousChannelOptions) throws {
        let inline = ChannelOptions.Types.SocketOption(level: .socket, name: .init(rawValue: SO_OOBINLINE))
        do {
            try options.setOption(inline, value: 1)
        } catch {
            // A unix socket has no urgent data, or its own.
            guard case .notSupported? = SocketFailure(error) else { throw error }
        }
    }

    /// The same for a socket that is not a channel yet.
    package static func keepUrgentData(of descriptor: Int32) {
        var on: Int32 = 1
        _ = setsockopt(descriptor, SOL_SOCKET, SO_OOBINLINE, &on, socklen_t(MemoryLayout<Int32>.size))
    }

    /// Half-close is reported, and reads wait for credit.
    private static func stream(_ options: any NIOSynchronousChannelOptions) throws {
        try options.setOption(.allowRemoteHalfClosure, value: true)
        try options.setOption(.autoRead, value: false)
        try options.setOption(.maxMessagesPerRead, value: 1)
        try options.setOption(.recvAllocator, value: IdleAwareReadBuffers(largest: largestRead))
    }

    /// Options of a carrier's socket, at either end, from its first byte on.
    package static func carrier(_ channel: any Channel) throws {
        guard let options = channel.syncOptions else { return }
        try options.setOption(.recvAllocator, value: IdleAwareReadBuffers(largest: largestRead, spare: 0))
        // Each read is passed on before the next one: reads are large already.
        try options.setOption(.maxMessagesPerRead, value: 1)
        try options.setOption(.writeBufferWaterMark, value: .init(low: unsentBytes.least, high: unsentBytes.most))
        try network(options)
    }

    /// Changes how many unsent bytes may wait below the session, in the kernel and above it; nil for the usual ones.
    package static func limitUnsent(of channel: any Channel, to limit: Int?) {
        guard let options = channel.syncOptions else { return }
        let kernel = ChannelOptions.Types.SocketOption(level: .tcp, name: .init(rawValue: TCP_NOTSENT_LOWAT))
        let most = min(limit ?? .max, unsentBytes.most)
        try? options.setOption(.writeBufferWaterMark, value: .init(low: min(most, unsentBytes.least), high: most))
        // A unix socket has no such bound, and its buffer is small. 0 stands for the system's default.
        try? options.setOption(kernel, value: SocketOptionValue(limit ?? 0))
    }

    private static func network(_ options: any NIOSynchronousChannelOptions) throws {
        do {
            try options.setOption(.socketOption(.so_keepalive), value: 1)
            try options.setOption(.tcpOption(.tcp_nodelay), value: 1)
        } catch {
            // A unix socket has neither.
            guard case .notSupported? = SocketFailure(error) else { throw error }
        }
    }

    /// Changes the length of a listening socket's queue.
    package static func setListenQueue(_ length: Int, of descriptor: Int32) {
        _ = listen(descriptor, Int32(clamping: length))
    }

    /// Makes the next close a reset (RST) rather than an end (FIN).
    package static func resetOnClose(_ channel: any Channel) {
        (channel as? any SocketOptionProvider)?.setSoLinger(linger(l_onoff: 1, l_linger: 0)).whenFailure { _ in
            // The socket is closed already.
        }
    }

    /// Makes the next close an end (FIN), which is the system's default.
    package static func endOnClose(_ channel: any Channel) {
        (channel as? any SocketOptionProvider)?.setSoLinger(linger(l_onoff: 0, l_linger: 0)).whenFailure { _ in
            // The socket is closed already, or has no such option.
        }
    }

    /// Closes the output of a socket in order: its stream is complete in this direction.
    package static func finishOutput(_ context: ChannelHandlerContext) {
        endOnClose(context.channel)
        context.close(mode: .output, promise: nil)
    }
}
