import NIOCore
import NIOPosix
import Platform

/// Joins streams to a closure of the program, over a pair of local sockets on the session's own event loop.
package struct InProcessEgress: Egress {
    private let service: InProcessService
    private let loop: any EventLoop

    /// To be made on `loop`.
    package init(_ service: InProcessService, loop: any EventLoop) {
        self.service = service
        self.loop = loop
    }

    package func connect(onBegin: (@escaping () -> Void) -> Void) -> EventLoopFuture<any Channel> {
        let far = NIOLoopBoundBox<(any Channel)?>(nil, eventLoop: loop)
        // If the stream ends while the initializer waits, the service's channel is closed.
        onBegin { far.value?.close(promise: nil) }
        return connect { far.value = $0 }
    }

    /// A channel whose other end is the service's.
    ///
    /// - Parameter onFar: called with the service's channel before its initializer.
    package func connect(onFar: @escaping @Sendable (any Channel) -> Void = { _ in }) -> EventLoopFuture<any Channel> {
        let ends: (Int32, Int32)
        do {
            ends = try Self.socketPair()
        } catch {
            return loop.makeFailedFuture(error)
        }
        return ClientBootstrap(group: loop)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelInitializer { [initializer = service.initializer] channel in
                DescriptorCount.shared.track(channel)
                onFar(channel)
                return initializer(channel)
            }
            .withConnectedSocket(ends.1)
            .flatMapError { [loop] error in
                // The other end is not a channel's yet.
                close(ends.0)
                return loop.makeFailedFuture(error)
            }
            .flatMap { [loop] _ in
                ClientBootstrap(group: loop)
                    .channelInitializer { channel in
                        channel.eventLoop.makeCompletedFuture { try SocketOptions.service(channel) }
                    }
                    .withConnectedSocket(ends.0)
            }
    }

    /// - Throws: `IOError`.
    private static func socketPair() throws -> (Int32, Int32) {
        var ends: [Int32] = [-1, -1]
        #if canImport(Glibc)
        let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        #elseif canImport(Musl)
        let type = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK
        #else
        let type = SOCK_STREAM
        #endif
        guard socketpair(AF_UNIX, type, 0, &ends) == 0 else { throw IOError(errnoCode: errno, reason: "socketpair") }
        #if canImport(Darwin)
        for end in ends {
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
        }
        #endif
        return (ends[0], ends[1])
    }
}
