import NIOCore
import NIOEmbedded

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// A TCP socket without a kernel. The test acts as the far side, and sees the bytes that the far side receives.
///
/// Handlers see the same events in the same order as from NIO's socket channel. All bytes before a FIN or RST are read,
/// even without a request. Closing both directions closes the channel and drops unwritten bytes.
final class FakeSocket: Channel, ChannelCore, @unchecked Sendable {
    private typealias Write = (bytes: ByteBuffer, promise: EventLoopPromise<Void>?)

    private let loop: EmbeddedEventLoop
    private let closePromise: EventLoopPromise<Void>
    private lazy var lazyPipeline = ChannelPipeline(channel: self)
    /// Received bytes that have not been read.
    private var inbound = CircularBuffer<ByteBuffer>()
    private var writes = CircularBuffer<Write>()
    private var flushed = 0
    private var isTransmitting = false
    private var isOpen = true
    private var inputEnded = false
    private var outputEnded = false
    private var endsOutputWhenWritten = false
    private(set) var farSideIsGone = false
    /// Whether closing sends RST instead of FIN.
    var resetsOnClose = false

    /// The bytes that the far side has received, then `<FIN>` or `<RST>`.
    private(set) var farSide = ""
    /// Whether a read is pending.
    private(set) var isReading = false
    /// The number of bytes that the kernel still accepts.
    private var room = Int.max
    /// The number of bytes that the far side has not acknowledged.
    var unacknowledged: UInt32 = 0
    /// Whether the next write fails.
    var writesFail = false
    /// Whether the connection is established. Handlers see an accepted socket before that.
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

    /// Receives bytes from the far side.
    func farSideSends(_ text: String) { farSideSends(ByteBuffer(string: text)) }

    func farSideSends(_ bytes: ByteBuffer) {
        inbound.append(bytes)
        readOnce()
    }

    /// Receives FIN from the far side.
    func farSideSendsFIN() {
        readAll()
        guard isOpen else { return }
        pipeline.fireChannelReadComplete()
        guard isOpen else { return }
        // If both directions have ended, the channel closes without an event for the end of input.
        if outputEnded { return close0(error: ChannelError.eof, mode: .all, promise: nil) }
        inputEnded = true
        isReading = false
        pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
    }

    /// Receives RST from the far side.
    func farSideSendsRST() {
        farSideIsGone = true
        readAll()
        guard isOpen else { return }
        let error = IOError(errnoCode: ECONNRESET, reason: "read")
        // After the far side's FIN no read is made that could fail.
        if !inputEnded { pipeline.fireErrorCaught(error) }
        if isOpen { close0(error: error, mode: .all, promise: nil) }
    }

    /// Lets the kernel accept this number of further bytes.
    func acceptWrites(_ count: Int) {
        room = count
        transmit()
    }

    /// Lets the kernel accept all bytes.
    func acceptAllWrites() { acceptWrites(.max) }

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
