import Logging
import Mux
import NIOCore
import NIOPosix
import Platform
import Synchronization
import TunnelCore

/// One stream between a connected socket of the program and a destination, as for ssh's `-W`.
public final class SocketForward: Sendable {
    /// Where the stream leads, as the server sees it.
    public let destination: Destination
    /// The socket; nil once the stream has it, or once it is closed.
    private let descriptor: Mutex<Int32?>

    /// A stream for a socket.
    ///
    /// - Parameter descriptor: a connected stream socket. The client closes it at the latest when it ends.
    public init(descriptor: Int32, to destination: Destination) {
        self.destination = destination
        self.descriptor = Mutex(descriptor)
    }

    /// The socket, for the stream; nil for all callers but the first.
    func takeDescriptor() -> Int32? {
        descriptor.withLock { descriptor in
            defer { descriptor = nil }
            return descriptor
        }
    }

    /// Closes a socket that the stream has not taken, so that the program sees its end.
    func closeIfUnused() {
        if let descriptor = takeDescriptor() { _ = close(descriptor) }
    }

    /// How the stream ended.
    enum End: Sendable, Equatable {
        /// Both directions have ended in order.
        case finished
        /// It was reset by the other end, or never opened.
        case refused(ResetCode)
        /// The program has closed its socket before.
        case closed
        /// The socket cannot be used, with the reason.
        case failed(String)
    }
}

/// Opens the stream of a ``SocketForward`` in the first session, once.
final class SocketForwardStream {
    private let forward: SocketForward
    private let loop: any EventLoop
    private let statistics: TunnelStatistics
    private let onEnd: (SocketForward.End) -> Void

    init(
        _ forward: SocketForward,
        loop: any EventLoop,
        totals: TrafficTotals,
        onEnd: @escaping (SocketForward.End) -> Void
    ) {
        self.forward = forward
        self.loop = loop
        self.onEnd = onEnd
        statistics = TunnelStatistics(
            tunnel: 0,
            role: .server,
            service: forward.destination.description,
            totals: totals
        )
    }

    /// A session has begun.
    func begin(_ streams: ForwardStreams) {
        guard let descriptor = forward.takeDescriptor() else { return }
        let bound = NIOLoopBound((self, streams), eventLoop: loop)
        let joined = ClientBootstrap(group: loop)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try SocketOptions.service(channel)
                    let (this, streams) = bound.value
                    try this.join(channel, streams)
                }
            }
            .withConnectedSocket(descriptor)
        joined.assumeIsolated().whenFailure { self.onEnd(.failed($0.userDescription)) }
    }

    private func join(_ channel: any Channel, _ streams: ForwardStreams) throws {
        let onEnd = onEnd
        try streams.open(
            channel,
            to: forward.destination,
            from: "standard input",
            statistics,
            onEnd: { onEnd(SocketForward.End($0)) }
        )
    }
}

extension SocketForward.End {
    init(_ ending: SocketState.Ending) {
        switch ending {
        case .finished: self = .finished
        case .resetByOtherEnd(let code): self = .refused(code)
        case .idle: self = .refused(.timeout)
        case .resetByThisSocket, .withoutSocket: self = .closed
        }
    }
}
