import NIOCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// A socket on its way to a service at this machine's own loopback, where the kernel has mostly joined both ends before
/// `connect` returns, and says so to whoever asks again at once.
///
/// NIO asks when its loop comes round, under a timer. Where the service's queue is full, this asks again too, less and
/// less often, until the time is over.
final class LoopbackDial {
    /// The time between two questions, at first; each is twice as long as the one before.
    private static let firstPause = TimeAmount.milliseconds(1)
    private static let longestPause = TimeAmount.milliseconds(16)

    private let address: SocketAddress
    private let loop: any EventLoop
    private let timeout: TimeAmount
    private let deadline: NIODeadline
    private var descriptor: NIOBSDSocket.Handle?

    /// Nil where the address is none of the loopback's.
    init?(_ address: SocketAddress, timeout: TimeAmount, loop: any EventLoop) {
        guard let ip = address.ip, ip.isLoopback else { return nil }
        self.address = address
        self.loop = loop
        self.timeout = timeout
        deadline = .now() + timeout
    }

    /// Connects, and hands the socket to `adopt`, which owns it from then on.
    ///
    /// - Returns: what `adopt` returns; fails with an `IOError`, or `ChannelError.connectTimeout`.
    func connect(
        adopt: @escaping (NIOBSDSocket.Handle) -> EventLoopFuture<any Channel>
    ) -> EventLoopFuture<any Channel> {
        do {
            let descriptor = try Self.open(address.protocol == .inet6 ? AF_INET6 : AF_INET)
            self.descriptor = descriptor
            if try isConnected(descriptor) { return adopt(take(descriptor)) }
            let channel = loop.makePromise(of: (any Channel).self)
            wait(Self.firstPause, channel, adopt)
            return channel.futureResult
        } catch {
            cancel()
            return loop.makeFailedFuture(error)
        }
    }

    /// Gives up; nothing is adopted any more.
    func cancel() {
        guard let descriptor else { return }
        self.descriptor = nil
        // A service that has accepted meanwhile sees a reset, as whoever wanted it was reset.
        var now = linger(l_onoff: 1, l_linger: 0)
        _ = setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &now, socklen_t(MemoryLayout<linger>.size))
        close(descriptor)
    }

    private func wait(
        _ pause: TimeAmount,
        _ channel: EventLoopPromise<any Channel>,
        _ adopt: @escaping (NIOBSDSocket.Handle) -> EventLoopFuture<any Channel>
    ) {
        loop.assumeIsolated().scheduleTask(in: min(pause, deadline - .now())) {
            guard let descriptor = self.descriptor else { return channel.fail(ChannelError.ioOnClosedChannel) }
            do {
                if try self.isConnected(descriptor) { return adopt(self.take(descriptor)).cascade(to: channel) }
                guard NIODeadline.now() < self.deadline else { throw ChannelError.connectTimeout(self.timeout) }
                self.wait(min(pause * 2, Self.longestPause), channel, adopt)
            } catch {
                self.cancel()
                channel.fail(error)
            }
        }
    }

    private func take(_ descriptor: NIOBSDSocket.Handle) -> NIOBSDSocket.Handle {
        self.descriptor = nil
        return descriptor
    }

    /// Asks the kernel to connect, or how far it is with it.
    private func isConnected(_ descriptor: NIOBSDSocket.Handle) throws -> Bool {
        try address.withSockAddr { pointer, length in
            // The first of them begins and mostly ends it, and only the second one is told.
            for _ in 0..<2 {
                if connectSocket(descriptor, pointer, socklen_t(length)) == 0 || errno == EISCONN { return true }
                guard errno == EINPROGRESS || errno == EALREADY || errno == EINTR else {
                    throw IOError(errnoCode: errno, reason: "connect")
                }
            }
            return false
        }
    }

    /// A socket that neither waits nor is inherited.
    private static func open(_ family: Int32) throws -> NIOBSDSocket.Handle {
        #if canImport(Darwin)
        let descriptor = socket(family, SOCK_STREAM, 0)
        if descriptor >= 0 {
            _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
            _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        }
        #else
        let descriptor = socket(family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        #endif
        guard descriptor >= 0 else { throw IOError(errnoCode: errno, reason: "socket") }
        return descriptor
    }
}

/// The system's, which a method of the same name hides.
private let connectSocket = connect
