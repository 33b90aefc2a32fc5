import NIOCore
import NIOPosix
import Platform

/// Keeps an event loop from sleeping for as long as ``BusyPollPolicy`` finds it worth it.
///
/// A loop of NIO's sleeps when nothing is ready. So there is a pipe that always has bytes in it: while one of them is read
/// in each turn, the loop looks for events and goes on.
///
/// The sessions of one loop share one, and it goes with the last of them.
package final class BusyPollLoop {
    private struct Weak {
        weak var vigil: BusyPollLoop?
    }

    private static let ofThread = ThreadSpecificVariable<NIOLoopBoundBox<Weak>>()
    /// What the pipe is filled with when it is empty.
    private let fuel: ByteBuffer
    /// Offers the processor to others.
    private let yield: () -> Void

    private var polling = BusyPollPolicy(now: .now())
    private var context: ChannelHandlerContext?
    package private(set) var channel: (any Channel)?
    /// What has moved in this turn.
    private var load = BusyPollPolicy.Load.nothing
    package private(set) var isLooking = false
    /// The pipe will bring a byte in the next turn.
    private var isReading = false
    private var bytesInPipe = 0
    /// Turns that the loop took rather than sleep; for tests.
    package private(set) var looks = 0

    /// The one of `loop`, on which the caller is. Where there can be none the loop sleeps whenever it has nothing to do.
    package static func of(_ loop: any EventLoop) -> BusyPollLoop {
        loop.preconditionInEventLoop()
        if let vigil = ofThread.currentValue?.value.vigil, vigil.context?.eventLoop === loop { return vigil }
        let vigil = BusyPollLoop(on: loop)
        ofThread.currentValue = NIOLoopBoundBox(Weak(vigil: vigil), eventLoop: loop)
        return vigil
    }

    /// One of its own. To be called on `loop`.
    ///
    /// - Parameter fuel: bytes with which the pipe is filled. 4,096: a page of it, for as many looks.
    package init(on loop: any EventLoop, fuel: Int = 4_096, yield: @escaping () -> Void = { sched_yield() }) {
        self.fuel = ByteBuffer(repeating: 0, count: fuel)
        self.yield = yield
        open(on: loop)
    }

    deinit {
        // By the channel, because the last reference may go anywhere.
        channel?.close(promise: nil)
    }

    private func open(on loop: any EventLoop) {
        guard let bootstrap = NIOPipeBootstrap(validatingGroup: loop), let ends = Self.pipeOfOurs() else { return }
        let vigil = NIOLoopBound(Weak(vigil: self), eventLoop: loop)
        let isTaken = NIOLoopBoundBox(false, eventLoop: loop)
        bootstrap
            .channelInitializer { channel in
                isTaken.value = true
                return channel.eventLoop.makeCompletedFuture {
                    let options = channel.syncOptions
                    try options?.setOption(.autoRead, value: false)
                    try options?.setOption(.maxMessagesPerRead, value: 1)
                    try options?.setOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 1))
                    try channel.pipeline.syncOperations.addHandler(PipeHandler(vigil.value.vigil))
                }
            }
            .takingOwnershipOfDescriptors(input: ends.input, output: ends.output)
            .whenFailure { _ in
                // From there on they are the channel's, whatever becomes of it.
                guard !isTaken.value else { return }
                close(ends.input)
                close(ends.output)
            }
    }

    /// A pipe that no child inherits: who takes a byte from it takes the loop's next turn.
    private static func pipeOfOurs() -> (input: CInt, output: CInt)? {
        var ends: [CInt] = [-1, -1]
        guard pipe(&ends) == 0 else { return nil }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }

    /// Bytes move in this turn of the loop.
    package func moves(_ more: BusyPollPolicy.Load) {
        guard more > load, let context else { return }
        let isFirst = load == .nothing
        load = more
        // While it looks, each turn ends with a decision.
        guard isFirst, !isLooking else { return }
        polling.wakes(now: .now())
        decideLater(context)
    }

    /// Once all events of the turn have been seen to.
    private func decideLater(_ context: ChannelHandlerContext) {
        context.eventLoop.assumeIsolated().execute { self.turnEnds() }
    }

    private func turnEnds() {
        guard let context else { return }
        let load = load
        self.load = .nothing
        isLooking = polling.turnEnds(load, now: .now()) == .lookAgain
        guard isLooking else { return }
        if !isReading { read(context) }
        guard load == .nothing else { return }
        // Behind what others have put off to the end of the turn.
        context.eventLoop.assumeIsolated().execute { self.offer() }
    }

    /// Lets others have the processor, where nothing has come meanwhile.
    private func offer() {
        guard load == .nothing else { return }
        let start = NIODeadline.now()
        yield()
        polling.offered(from: start, now: .now())
    }

    private func read(_ context: ChannelHandlerContext) {
        if bytesInPipe == 0 {
            bytesInPipe = fuel.readableBytes
            context.writeAndFlush(NIOAny(fuel), promise: nil)
        }
        isReading = true
        context.read()
    }

    private func hasRead(_ context: ChannelHandlerContext) {
        bytesInPipe -= 1
        looks += 1
        isReading = false
        guard isLooking else { return }
        read(context)
        decideLater(context)
    }

    private func ended() {
        context = nil
        channel = nil
        load = .nothing
        isLooking = false
        isReading = false
    }

    /// The pipe's end of it.
    private final class PipeHandler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private weak var vigil: BusyPollLoop?

        init(_ vigil: BusyPollLoop?) {
            self.vigil = vigil
        }

        func handlerAdded(context: ChannelHandlerContext) {
            guard let vigil else { return context.close(promise: nil) }
            vigil.context = context
            vigil.channel = context.channel
        }

        func handlerRemoved(context: ChannelHandlerContext) {
            vigil?.ended()
        }

        func channelReadComplete(context: ChannelHandlerContext) {
            vigil?.hasRead(context)
        }
    }
}
