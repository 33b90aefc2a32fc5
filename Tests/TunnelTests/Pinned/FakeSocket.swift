import NIOCore
import NIOEmbedded

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// A TCP socket without a kernel: the test says what the far side does, and sees what the far side gets.
///
/// It shows its handlers what NIO's own socket channel shows them, in the same order: an end or a reset has everything
/// read that came before it, whether a read was asked for or not; closing one direction after the other closes the
/// channel and drops what is unwritten.
final class FakeSocket: Channel, ChannelCore, @unchecked Sendable {
    private typealias Write = (bytes: ByteBuffer, promise: EventLoopPromise<Void>?)

    private let loop: EmbeddedEventLoop
    private let closePromise: EventLoopPromise<Void>
    private lazy var lazyPipeline = ChannelPipeline(channel: self)
    /// What has come and was not read.
    private var inbound = CircularBuffer<ByteBuffer>()
    private var writes = CircularBuffer<Write>()
    private var flushed = 0
    private var isTransmitting = false
    private var isOpen = true
    private var inputEnded = false
    private var outputEnded = false
    private var endsOutputWhenWritten = false
    private(set) var farSideIsGone = false
    /// Whether closing sends RST in place of FIN.
    var resetsOnClose = false

    /// What the far side gets: the bytes, then `<FIN>` or `<RST>`.
    private(set) var farSide = ""
    /// Whether a read was asked for, and has brought nothing yet.
    private(set) var isReading = false
    /// Bytes that the kernel still takes.
    private var room = Int.max
    /// Bytes that the far side has not acknowledged.
    var unacknowledged: UInt32 = 0
    /// Whether the next write fails.
    var writesFail = false
    /// Whether the connection is there. A socket is shown to its handlers before that if it was accepted.
    var isConnected = true
    /// The address of the far side.
    var remoteAddress: SocketAddress?
    /// The address that the far side has connected to.
    var localAddress: SocketAddress?

    init(loop: EmbeddedEventLoop) {
        self.loop = loop
        closePromise = loop.makePromise()
    }

    var isClosed: Bool { !isOpen }

    // MARK: The far side, and the kernel

    /// The far side sends bytes.
    func brings(_ text: String) { brings(ByteBuffer(string: text)) }

    func brings(_ bytes: ByteBuffer) {
        inbound.append(bytes)
        readOnce()
    }

    /// The far side sends FIN.
    func bringsEnd() {
        readAll()
        guard isOpen else { return }
        pipeline.fireChannelReadComplete()
        guard isOpen else { return }
        // With both directions ended the channel is closed, and no event says that the input has.
        if outputEnded { return close0(error: ChannelError.eof, mode: .all, promise: nil) }
        inputEnded = true
        isReading = false
        pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
    }

    /// The far side sends RST.
    func bringsReset() {
        farSideIsGone = true
        readAll()
        guard isOpen else { return }
        let error = IOError(errnoCode: ECONNRESET, reason: "read")
        // After the far side's FIN nothing is read any more, so that no read fails.
        if !inputEnded { pipeline.fireErrorCaught(error) }
        if isOpen { close0(error: error, mode: .all, promise: nil) }
    }

    /// The kernel takes so many bytes from now on, and then no more.
    func takes(_ count: Int) {
        room = count
        transmit()
    }

    /// The kernel takes whatever comes.
    func takesAll() { takes(.max) }

    private func readOnce() {
        guard isOpen, isReading, let bytes = inbound.popFirst() else { return }
        read(bytes)
        if isReading, !inbound.isEmpty { loop.execute { self.readOnce() } }
    }

    private func readAll() {
        while isOpen, let bytes = inbound.popFirst() { read(bytes) }
    }

    private func read(_ bytes: ByteBuffer) {
        isReading = false
        pipeline.fireChannelRead(bytes)
        if isOpen { pipeline.fireChannelReadComplete() }
    }

    private func transmit() {
        guard !isTransmitting else { return }
        isTransmitting = true
        defer { isTransmitting = false }
        while isOpen, flushed > 0, let (left, promise) = writes.first {
            var bytes = left
            if writesFail, bytes.readableBytes > 0 {
                farSideIsGone = true
                if isReading, !inputEnded { readAll() }
                return close0(error: IOError(errnoCode: EPIPE, reason: "write"), mode: .all, promise: nil)
            }
            let taken = bytes.readString(length: min(room, bytes.readableBytes)) ?? ""
            farSide += taken
            if room != .max { room -= taken.utf8.count }
            guard bytes.readableBytes == 0 else {
                writes[writes.startIndex].bytes = bytes
                return
            }
            writes.removeFirst()
            flushed -= 1
            promise?.succeed(())
        }
        if isOpen, writes.isEmpty, endsOutputWhenWritten { endOutput() }
    }

    private func endOutput() {
        endsOutputWhenWritten = false
        outputEnded = true
        farSide += "<FIN>"
        pipeline.fireUserInboundEventTriggered(ChannelEvent.outputClosed)
    }

    // MARK: ChannelCore

    func write0(_ data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard isOpen, !outputEnded else {
            promise?.fail(isOpen ? ChannelError.outputClosed : .ioOnClosedChannel)
            return
        }
        writes.append((unwrapData(data), promise))
    }

    func flush0() {
        flushed = writes.count
        transmit()
    }

    func read0() {
        guard isOpen, !inputEnded else { return }
        isReading = true
        loop.execute { self.readOnce() }
    }

    func close0(error: any Error, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        guard isOpen else {
            promise?.fail(ChannelError.alreadyClosed)
            return
        }
        if case .output = mode, !inputEnded {
            endsOutputWhenWritten = true
            if writes.isEmpty { endOutput() }
            promise?.succeed(())
            return
        }
        isOpen = false
        if !farSideIsGone { farSide += resetsOnClose ? "<RST>" : outputEnded ? "" : "<FIN>" }
        while let write = writes.popFirst() { write.promise?.fail(error) }
        promise?.succeed(())
        pipeline.fireChannelInactive()
        loop.execute {
            self.removeHandlers(pipeline: self.pipeline)
            self.closePromise.succeed(())
        }
    }

    func localAddress0() throws -> SocketAddress { throw ChannelError.operationUnsupported }
    func remoteAddress0() throws -> SocketAddress { throw ChannelError.operationUnsupported }
    func register0(promise: EventLoopPromise<Void>?) { promise?.succeed(()) }
    func bind0(to: SocketAddress, promise: EventLoopPromise<Void>?) { promise?.succeed(()) }
    func connect0(to: SocketAddress, promise: EventLoopPromise<Void>?) { promise?.succeed(()) }
    func registerAlreadyConfigured0(promise: EventLoopPromise<Void>?) { promise?.succeed(()) }
    func triggerUserOutboundEvent0(_ event: Any, promise: EventLoopPromise<Void>?) { promise?.succeed(()) }
    func channelRead0(_ data: NIOAny) {}
    func errorCaught0(error: any Error) {}

    // MARK: Channel

    var allocator: ByteBufferAllocator { ByteBufferAllocator() }
    var closeFuture: EventLoopFuture<Void> { closePromise.futureResult }
    var pipeline: ChannelPipeline { lazyPipeline }
    var parent: (any Channel)? { nil }
    var isWritable: Bool { true }
    var isActive: Bool { isOpen && isConnected }
    var _channelCore: any ChannelCore { self }
    var eventLoop: any EventLoop { loop }
    var syncOptions: (any NIOSynchronousChannelOptions)? { Options(socket: self) }

    func setOption<Option: ChannelOption>(_ option: Option, value: Option.Value) -> EventLoopFuture<Void> {
        loop.makeSucceededVoidFuture()
    }

    func getOption<Option: ChannelOption>(_ option: Option) -> EventLoopFuture<Option.Value> {
        loop.makeCompletedFuture { try Options(socket: self).getOption(option) }
    }

    private struct Options: NIOSynchronousChannelOptions {
        let socket: FakeSocket

        func setOption<Option: ChannelOption>(_ option: Option, value: Option.Value) throws {}

        func getOption<Option: ChannelOption>(_ option: Option) throws -> Option.Value {
            guard option is ChannelOptions.Types.BufferedWritableBytesOption,
                let bytes = socket.writes.reduce(0, { $0 + $1.bytes.readableBytes }) as? Option.Value
            else { throw ChannelError.operationUnsupported }
            return bytes
        }
    }
}
