import NIOCore
import NIOPosix
import NIOSSL
import Synchronization
import TunnelCore

/// Received bytes of a connection, for one reader outside its event loop. The socket pauses while many bytes are unread.
final class ByteInbox: ChannelInboundHandler, Sendable {
    typealias InboundIn = ByteBuffer

    private enum Ending {
        case open
        case ended(ConnectionFailure?)
    }

    private struct State {
        var bytes = ByteBuffer()
        var ending = Ending.open
        var isPaused = false
        var reader: CheckedContinuation<Result<ByteBuffer?, ConnectionFailure>, Never>?
    }

    private let state = Mutex(State())
    private let verification: PeerVerification?
    private let host: String

    /// - Parameter verification: explains a failed handshake.
    init(verification: PeerVerification?, host: String) {
        (self.verification, self.host) = (verification, host)
    }

    /// Whether the connection has not ended.
    var isOpen: Bool {
        state.withLock { if case .open = $0.ending { true } else { false } }
    }

    /// Takes the bytes that have arrived, or waits for some. Only one reader waits at a time.
    ///
    /// - Returns: nil if the other end has closed the connection.
    func receive(from channel: any Channel) async throws(ConnectionFailure) -> ByteBuffer? {
        let result = await withCheckedContinuation { continuation in
            let (ready, isResumed) = state.withLock { state in
                precondition(state.reader == nil, "two readers")
                let ready = Self.take(&state)
                if ready == nil { state.reader = continuation }
                let isResumed = ready != nil && state.isPaused
                if isResumed { state.isPaused = false }
                return (ready, isResumed)
            }
            if isResumed { channel.setOption(.autoRead, value: true).whenFailure { _ in } }
            if let ready { continuation.resume(returning: ready) }
        }
        return try result.get()
    }

    /// Ends the connection's use. The reader gets the failure; a later one does too.
    func fail(_ failure: ConnectionFailure?) {
        let (reader, result) = state.withLock { state in
            if case .open = state.ending { state.ending = .ended(failure) }
            guard let reader = state.reader, let result = Self.take(&state) else {
                return (CheckedContinuation<Result<ByteBuffer?, ConnectionFailure>, Never>?.none, Self.nothing)
            }
            state.reader = nil
            return (reader, result)
        }
        reader?.resume(returning: result)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        let (reader, isPaused) = state.withLock { state in
            guard case .open = state.ending else {
                return (CheckedContinuation<Result<ByteBuffer?, ConnectionFailure>, Never>?.none, false)
            }
            if let reader = state.reader {
                state.reader = nil
                return (reader, false)
            }
            state.bytes.writeBuffer(&bytes)
            state.isPaused = state.bytes.readableBytes >= EtcdLimits.unread
            return (nil, state.isPaused)
        }
        if isPaused { context.channel.setOption(.autoRead, value: false).whenFailure { _ in } }
        reader?.resume(returning: .success(bytes))
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail(nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // Without a goodbye the end is told by the length; `channelInactive` follows.
        if case NIOSSLError.uncleanShutdown = error { return }
        if let problem = verification?.problem {
            fail(ConnectionFailure(.closed, problem.sentence(of: host)))
        } else {
            fail(ConnectionFailure(error))
        }
        context.close(promise: nil)
    }

    private static let nothing = Result<ByteBuffer?, ConnectionFailure>.success(nil)

    /// What a reader gets now; nil if it has to wait.
    private static func take(_ state: inout State) -> Result<ByteBuffer?, ConnectionFailure>? {
        if state.bytes.readableBytes > 0 {
            let bytes = state.bytes
            state.bytes = ByteBuffer()
            return .success(bytes)
        }
        switch state.ending {
        case .open: return nil
        case .ended(nil): return nothing
        case .ended(let failure?): return .failure(failure)
        }
    }
}
