import NIOCore
import NIOPosix
import Platform

/// Keeps an event loop from sleeping for as long as ``BusyPollPolicy`` decides to poll.
///
/// One of NIO's loops sleeps when nothing is ready. So there is a pipe that always has bytes: while one of them is read in
/// each iteration, the loop asks for events and goes on.
///
/// The sessions of one loop share one of these. It goes with the last of them.
package final class BusyPollLoop {
    private struct Weak {
        weak var poll: BusyPollLoop?
    }

    private static let ofThread = ThreadSpecificVariable<NIOLoopBoundBox<Weak>>()
    /// What the pipe is filled with when it is empty.
    private let fuel: ByteBuffer
    /// Offers the processor to other programs.
    private let yield: () -> Void

    private var policy = BusyPollPolicy(now: .now())
    private var context: ChannelHandlerContext?
    package private(set) var channel: (any Channel)?
    /// Interactive bytes have come in this iteration.
    private var isInteractive = false
    package private(set) var isPolling = false
    /// The pipe will bring a byte in the next iteration.
    private var isReading = false
    private var bytesInPipe = 0
    /// Iterations in which the loop polled rather than slept; for tests.
    package private(set) var polls = 0

    /// The one of `loop`, on which the caller is. Without a pipe the loop sleeps whenever it has nothing to do.
    package static func of(_ loop: any EventLoop) -> BusyPollLoop {
        loop.preconditionInEventLoop()
        if let poll = ofThread.currentValue?.value.poll, poll.context?.eventLoop === loop { return poll }
        let poll = BusyPollLoop(on: loop)
        ofThread.currentValue = NIOLoopBoundBox(Weak(poll: poll), eventLoop: loop)
        return poll
    }

    /// One of its own. To be called on `loop`.
    ///
    /// - Parameter fuel: bytes with which the pipe is filled. 4,096: one page, for as many iterations.
    package init(on loop: any EventLoop, fuel: Int = 4_096, yield: @escaping () -> Void = { sched_yield() }) {
        self.fuel = ByteBuffer(repeating: 0, count: fuel)
        self.yield = yield
        open(on: loop)
    }

    deinit {
        // By the channel, because the last reference may end on any thread.
        channel?.close(promise: nil)
    }

    private func open(on loop: any EventLoop) {
        guard let bootstrap = NIOPipeBootstrap(validatingGroup: loop), let ends = Self.makePipe() else { return }
        let poll = NIOLoopBound(Weak(poll: self), eventLoop: loop)
        let isTaken = NIOLoopBoundBox(false, eventLoop: loop)
        bootstrap
            .channelInitializer { channel in
                isTaken.value = true
                return channel.eventLoop.makeCompletedFuture {
                    let options = channel.syncOptions
                    try options?.setOption(.autoRead, value: false)
                    try options?.setOption(.maxMessagesPerRead, value: 1)
                    try options?.setOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 1))
                    try channel.pipeline.syncOperations.addHandler(PipeHandler(poll.value.poll))
                }
            }
            .takingOwnershipOfDescriptors(input: ends.input, output: ends.output)
            .whenFailure { _ in
                // Once taken, they are the channel's.
                guard !isTaken.value else { return }
                close(ends.input)
                close(ends.output)
            }
    }

    /// A pipe that no child process inherits: it would take bytes from it.
    private static func makePipe() -> (input: CInt, output: CInt)? {
        var ends: [CInt] = [-1, -1]
        guard pipe(&ends) == 0 else { return nil }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }

    /// Interactive bytes move in this iteration.
    package func noteInteractive() {
        guard !isInteractive, let context else { return }
        isInteractive = true
        // While it polls, each iteration ends with a decision anyway.
        guard !isPolling else { return }
        policy.woke(now: .now())
        decideAtEndOfIteration(context)
    }

    private func decideAtEndOfIteration(_ context: ChannelHandlerContext) {
        context.eventLoop.assumeIsolated().execute { self.iterationEnded() }
    }

    private func iterationEnded() {
        guard let context else { return }
        let wasInteractive = isInteractive
        isInteractive = false
        isPolling = policy.iterationEnded(isInteractive: wasInteractive, now: .now()) == .poll
        guard isPolling else { return }
        if !isReading { read(context) }
        // Behind what others have put off to the end of the iteration.
        context.eventLoop.assumeIsolated().execute { self.offerProcessor() }
    }

    /// Lets other programs have the processor, unless interactive bytes have come meanwhile.
    private func offerProcessor() {
        guard !isInteractive else { return }
        let start = NIODeadline.now()
        yield()
        policy.yielded(from: start, now: .now())
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
        polls += 1
        isReading = false
        guard isPolling else { return }
        read(context)
        decideAtEndOfIteration(context)
    }

    private func ended() {
        context = nil
        channel = nil
        isInteractive = false
        isPolling = false
        isReading = false
    }

    /// The handler of the pipe's channel.
    private final class PipeHandler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private weak var poll: BusyPollLoop?

        init(_ poll: BusyPollLoop?) {
            self.poll = poll
        }

        func handlerAdded(context: ChannelHandlerContext) {
            guard let poll else { return context.close(promise: nil) }
            poll.context = context
            poll.channel = context.channel
        }

        func handlerRemoved(context: ChannelHandlerContext) {
            poll?.ended()
        }

        func channelReadComplete(context: ChannelHandlerContext) {
            poll?.hasRead(context)
        }
    }
}
