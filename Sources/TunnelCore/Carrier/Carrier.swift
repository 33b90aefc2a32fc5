import HTTP1
import Mux
import NIOCore
import Seal
import WebSocket

/// The receiver of a carrier's frames: the handshake at first, then the session.
package protocol CarrierReceiver: AnyObject {
    /// The peer's next frame.
    func carrier(received frame: InboundFrame)
    /// The channel's read is over: the receiver flushes.
    func carrierReadCompleted()
    /// The carrier takes frames again.
    func carrierBecameWritable()
    /// The peer broke the rules of frames.
    func carrier(violatedBy error: MuxError)
    /// The WebSocket is gone. Called exactly once, and nothing follows.
    func carrierLost(_ loss: CarrierLoss)
}

/// How a carrier ended.
package struct CarrierLoss: Error, CustomStringConvertible {
    /// One line for the log.
    package let description: String
    /// Whether the peer ended it in order by Close. A front that speaks WebSocket may have sent that.
    package var isClosedByPeer = false
    /// The peer broke RFC 6455 or the session's framing: dialling again at once would not help.
    package var isProtocolViolation = false
    /// What came on a sealed carrier is not what the peer has sent.
    package var isAltered = false

    package init(
        description: String,
        isClosedByPeer: Bool = false,
        isProtocolViolation: Bool = false,
        isAltered: Bool = false
    ) {
        self.isAltered = isAltered
        self.description = description
        self.isClosedByPeer = isClosedByPeer
        self.isProtocolViolation = isProtocolViolation
    }
}

/// One WebSocket connection in its channel: bytes to frames, frames to bytes. Its receiver knows what frames mean.
///
/// One session frame travels in one binary message. Small frames are gathered in one buffer, so that many share a
/// system call; a server's large payloads are handed to the socket as they are, and a client's are masked while they
/// are copied into that buffer.
///
/// A sealed carrier seals each message, frame head and payload, and opens each that comes. What is on the path then cannot
/// read them. A message that fails to open, or a breach of RFC 6455, is the path's: it ends the carrier and not the session.
package final class Carrier: ChannelInboundHandler, RemovableChannelHandler, CarrierLink {
    package typealias InboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    /// Payloads from this size on are not copied by a server.
    private static let gatherLimit = 4_096
    /// The gathered bytes are handed to the channel from this size on: one long frame, so that its buffer need not grow,
    /// which copies it. The channel writes several at once.
    private static let gatheredLimit = MuxLimits.maximumData
    /// Bytes of WebSocket control frames that may wait.
    package static let queuedControlBytes = 4_096
    /// How long the closing handshake may take.
    package static let closeTimeout = TimeAmount.seconds(5)

    private var connection: WebSocket.Connection
    /// The compression that the handshake agreed on; nil for none.
    package let deflate: DeflateAgreement?
    private var isCompressed: Bool { deflate != nil }
    private var assembler = FrameAssembler()
    /// Gone with the carrier: its keys overwrite themselves.
    private(set) var sealed: SealedMessages?
    /// Nothing is read or sent any more.
    private var isOver = false
    private var gathered = ByteBuffer()
    /// Something was written to the channel since it was flushed.
    private var isUnflushed = false
    /// Bytes have come since the last end of a read.
    private var hasRead = false
    private var header = ByteBuffer()
    private var context: ChannelHandlerContext?
    private let trace: FrameTrace?
    private var receiver: CarrierReceiver?
    private var loss: CarrierLoss?
    package private(set) var lastBytes = CarrierTimes()
    /// The peer's WebSocket pings.
    private var pings: SlidingWindow
    /// The peer's WebSocket pongs; this end sends no pings.
    private var pongs: SlidingWindow

    /// - Parameters:
    ///   - limits: the limits for the peer.
    ///   - deflate: the compression that the handshake agreed on.
    ///   - trace: gets the heads of all frames.
    package init(
        role: WebSocketRole,
        limits: CarrierLimits = CarrierLimits(),
        deflate: DeflateAgreement?,
        trace: FrameTrace? = nil,
        receiver: CarrierReceiver
    ) {
        // The carrier may be sealed later. What is too long for a frame is then the peer's breach, if it opens.
        let longest = max(MuxLimits.longestFrame, Sealer.longestMessage + Sealer.overhead)
        self.connection = Connection(
            role: role,
            limits: WebSocketLimits(
                maximumFrameBytes: longest,
                maximumMessageBytes: longest,
                maximumFragments: limits.fragments,
                maximumQueuedControlBytes: Self.queuedControlBytes
            ),
            acceptsText: false,
            deflate: deflate
        )
        self.pings = SlidingWindow(limit: limits.pingsInTenSeconds)
        self.pongs = SlidingWindow(limit: limits.pingsInTenSeconds)
        self.deflate = deflate
        // No zlib before the peer has proved itself.
        self.connection.acceptsCompressed = false
        self.trace = trace
        self.receiver = receiver
    }

    // MARK: For the receiver

    /// Whether frames may be sent.
    package var isWritable: Bool {
        guard let context, context.channel.isWritable else { return false }
        return gathered.readableBytes < unsentLimit ?? .max
    }

    package var unsentLimit: Int? {
        didSet {
            guard unsentLimit != oldValue, let context else { return }
            SocketOptions.limitUnsent(of: context.channel, to: unsentLimit)
        }
    }

    package var retransmitted: UInt32? { context.flatMap { TCPState($0.channel)?.retransmitted } }

    /// Whether the socket is read. Otherwise bytes wait at the peer.
    package var isRead = true {
        didSet {
            guard isRead != oldValue else { return }
            try? context?.channel.syncOptions?.setOption(.autoRead, value: isRead)
        }
    }

    /// The peer has proved itself: long frames are taken from now on, and go to `receiver`.
    package func admit(_ receiver: any CarrierReceiver) {
        assembler.isAdmitted = true
        connection.acceptsCompressed = sealed == nil
        self.receiver = receiver
    }

    package func open(_ opening: CarrierOpening) {
        send(opening.frame)
        if let seal = opening.seal { self.seal(seal) }
    }

    /// Seals what is sent from now on, and opens what comes.
    package func seal(_ keys: OneTime<CarrierSeal>) {
        guard let seal = keys.take() else { return abort("the keys of its seal were used before") }
        // The rest of such a message could be sealed, and would be believed with its beginning. The peer waits for the
        // answer, so the beginning is not its own.
        guard assembler.isIdle else {
            loss = CarrierLoss(description: "a message began before the seal", isAltered: true)
            context?.close(promise: nil)
            return
        }
        sealed = SealedMessages(seal)
        connection.acceptsCompressed = false
    }

    /// Another carrier has taken its place: further frames and its end are ignored.
    package func disown() {
        receiver = nil
    }

    /// Puts a frame on the WebSocket; it leaves with the next ``flush()``.
    package func send(_ frame: OutboundFrame) {
        guard let context, loss == nil else { return }
        trace?.sent(frame.header, payload: frame.payload.readableBytes)
        do {
            if let sealed {
                try connection.encodeMessage(.binary, length: frame.length + Sealer.overhead, into: &gathered) {
                    try sealed.seal(frame, into: &$0)
                }
                if gathered.readableBytes >= Self.gatheredLimit { writeGathered(context) }
                return
            }
            header.clear()
            frame.writeHead(into: &header)
            if connection.role == .server, !isCompressed, frame.payload.readableBytes >= Self.gatherLimit {
                try connection.encodeMessageHead(
                    .binary,
                    prefix: header,
                    payloadLength: frame.payload.readableBytes,
                    into: &gathered
                )
                writeGathered(context)
                write(frame.payload, context)
            } else {
                // Incompressible payloads must fit too.
                if isCompressed { gathered.reserveCapacity(minimumWritableBytes: frame.length + 14) }
                try connection.encodeMessage(
                    .binary,
                    prefix: header,
                    payload: frame.payload,
                    compress: assembler.isAdmitted,
                    into: &gathered
                )
                if gathered.readableBytes >= Self.gatheredLimit { writeGathered(context) }
            }
        } catch let error as NoiseError {
            abort(error.description)
        } catch {
            // The closing handshake has begun: nothing may be sent after it (RFC 6455 section 5.5.1).
        }
    }

    /// Hands everything to the socket.
    package func flush() {
        guard let context else { return }
        writeGathered(context)
        guard isUnflushed else { return }
        isUnflushed = false
        lastBytes.went = .now
        context.flush()
    }

    /// Ends the WebSocket in order: Close, the peer's answer, then the connection.
    package func close(_ code: CloseCode, reason: String) {
        guard let context, loss == nil else { return }
        connection.close(code, reason: reason)
        sendControl(context)
        flush()
        loss = CarrierLoss(description: "closed by this end: \(reason)")
        let channel = context.channel
        context.eventLoop.assumeIsolated().scheduleTask(in: Self.closeTimeout) { channel.close(promise: nil) }
    }

    /// Ends the connection at once.
    package func abort(_ reason: String) {
        if loss == nil { loss = CarrierLoss(description: reason) }
        context?.close(promise: nil)
    }

    private func writeGathered(_ context: ChannelHandlerContext) {
        guard gathered.readableBytes > 0 else { return }
        let bytes = gathered
        gathered = ByteBuffer()
        write(bytes, context)
    }

    private func write(_ bytes: ByteBuffer, _ context: ChannelHandlerContext) {
        isUnflushed = true
        context.write(wrapOutboundOut(bytes), promise: nil)
    }

    private func sendControl(_ context: ChannelHandlerContext) {
        if let output = connection.takeOutput() { gathered.writeImmutableBuffer(output) }
    }

    // MARK: The channel

    package func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        lost(CarrierLoss(description: "the connection was closed"))
        self.context = nil
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isOver else { return }
        lastBytes.came = .now
        hasRead = true
        let bytes = unwrapInboundIn(data)
        connection.receive(bytes)
        do {
            while let event = try connection.nextEvent() {
                try handle(event)
            }
            sendControl(context)
        } catch {
            fail(context, error)
        }
    }

    private func handle(_ event: WebSocketEvent) throws {
        switch event {
        case .message(_, var piece, isFirst: _, let isLast):
            if let sealed {
                do throws(NoiseError) {
                    guard try sealed.open(&piece, isLast: isLast) else { return }
                } catch {
                    throw CarrierLoss(description: "a message was altered on the way", isAltered: true)
                }
            }
            do throws(MuxError) {
                guard let frame = try assembler.receive(piece, isLast: isLast) else { return }
                trace?.received(frame.header, payload: frame.payload.readableBytes)
                receiver?.carrier(received: frame)
            } catch {
                receiver?.carrier(violatedBy: error)
                throw CarrierLoss(
                    description: "the peer broke the session protocol: \(error)",
                    isProtocolViolation: true
                )
            }
        case .ping:
            guard pings.record(now: .now) else {
                connection.close(.policyViolation, reason: "too many pings")
                throw flood(of: "pings")
            }
        case .pong:
            // Nothing asks for them: the session has its own.
            guard pongs.record(now: .now) else {
                connection.close(.policyViolation, reason: "too many pongs")
                throw flood(of: "pongs")
            }
        case .close(let code, let reason):
            let words = reason.isEmpty ? "" : " (\(reason.escapedForDisplay()))"
            let number = code?.description ?? "no code"
            throw CarrierLoss(description: "the peer closed the WebSocket with \(number)\(words)", isClosedByPeer: true)
        }
    }

    private func flood(of frames: String) -> CarrierLoss {
        CarrierLoss(
            description: "the peer floods us with \(frames)",
            isProtocolViolation: sealed == nil,
            isAltered: sealed != nil
        )
    }

    /// Sends the remaining control frames, if it can, and ends the connection.
    private func fail(_ context: ChannelHandlerContext, _ error: any Error) {
        if loss == nil {
            switch error {
            case let error as CarrierLoss: loss = error
            case WebSocketError.unmaskedFrame(.close):
                // Caddy before 2.6.3 ends a client's WebSocket so when it reloads; the client has done nothing.
                loss = CarrierLoss(description: "an unmasked Close frame, perhaps a front's that reloads")
            default:
                // The path breaks it if the messages are sealed: the peer's own breach would be inside.
                loss = CarrierLoss(
                    description: "the peer broke RFC 6455: \(error.userDescription)",
                    isProtocolViolation: sealed == nil,
                    isAltered: sealed != nil
                )
            }
        }
        sendControl(context)
        flush()
        context.close(promise: nil)
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent {
            // A WebSocket has no half-close: a peer that sends no more is gone.
            lost(CarrierLoss(description: "the peer closed the connection without a closing handshake"))
            context.close(promise: nil)
        }
        context.fireUserInboundEventTriggered(event)
    }

    package func channelReadComplete(context: ChannelHandlerContext) {
        // At the end of input there are no new bytes. A flush could then close the channel inside NIO if the peer's RST is
        // behind its FIN: a debug build of NIO stops there (BaseSocketChannel.unregisterForReadable).
        guard hasRead else { return }
        hasRead = false
        receiver?.carrierReadCompleted()
        flush()
    }

    package func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { receiver?.carrierBecameWritable() }
    }

    package func channelInactive(context: ChannelHandlerContext) {
        lost(CarrierLoss(description: "the connection was closed without a closing handshake"))
        context.fireChannelInactive()
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if loss == nil { loss = CarrierLoss(description: "the connection failed: \(error.userDescription)") }
        context.close(promise: nil)
    }

    private func lost(_ loss: CarrierLoss) {
        let loss = self.loss ?? loss
        self.loss = loss
        isOver = true
        sealed = nil
        guard let receiver else { return }
        self.receiver = nil
        receiver.carrierLost(loss)
    }
}
