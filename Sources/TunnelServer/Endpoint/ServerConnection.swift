import HTTP1
import Logging
import NIOCore
import NIOSSL
import NetworkAddress
import TunnelAdmin
import TunnelCore
import WebSocket

/// A connection that was accepted on the endpoint, until it is a carrier: its slot, its deadline and its upgrade.
final class ServerConnection {
    private let server: ServerCore
    private let channel: any Channel
    private let address: String?
    /// The trusted fronts, if this connection comes from one.
    private let front: TrustedFronts?
    private var logger: Logger
    /// The origin of the connection, as far as it is known.
    private var origin: CarrierOrigin
    /// Whether a front has named the origin.
    private var hasOrigin = false

    private let slot: Admission.Slot

    /// - Parameters:
    ///   - slot: a slot that was taken for `address`.
    ///   - front: the trusted fronts, if the connection comes from one.
    init(
        server: ServerCore,
        channel: any Channel,
        slot: Admission.Slot,
        address: String?,
        front: TrustedFronts?,
        logger: Logger
    ) {
        self.slot = slot
        self.server = server
        self.channel = channel
        self.address = address
        self.front = front
        self.logger = logger
        origin = CarrierOrigin(channel.peerAddress?.inShort ?? "unix")
    }

    /// Prepares the pipeline.
    ///
    /// - Parameter isTerminated: whether the connection has come over TLS that another handler terminates.
    func install(tls: TLSForServer?, isTerminated: Bool = false) throws {
        let limits = server.configuration.serverLimits
        let timeout = TimeAmount(limits.handshakeTimeout)
        let deadline = channel.eventLoop.assumeIsolated().scheduleTask(in: timeout) { self.timeOut() }
        let slot = AdmissionSlot(server.admission, slot, address: address, deadline: deadline) { [channel] in
            channel.close(promise: nil)
        }
        // The slot is freed with the connection, at whatever point it ends.
        channel.closeFuture.assumeIsolated().whenComplete { _ in slot.free() }
        try SocketOptions.carrier(channel)
        let pipeline = channel.pipeline.syncOperations
        if front != nil, !isTerminated {
            try pipeline.addHandler(
                ProxyProtocolHandler(isRequired: false, timeout: timeout) { header in
                    if let source = header?.ends?.source.address { self.setOrigin(source, slot) }
                }
            )
        }
        let check = FirstByteCheck(
            isTLS: tls != nil,
            throttle: server.resources.logs.refusedRequests,
            metrics: server.resources.metrics,
            logger: logger
        )
        try pipeline.addHandler(check)
        let tlsHandshake = tls?.handshake()
        if let tlsHandshake { try pipeline.addHandler(tlsHandshake.handler) }
        try pipeline.addHandler(
            UpgradeHandler(
                upgrade: server.upgrade,
                limits: limits.head,
                logger: self.logger,
                throttle: server.resources.logs.refusedRequests,
                metrics: server.resources.metrics,
                verification: tlsHandshake?.verification,
                onFirstBytes: { slot.noteBytes() },
                onHead: { head in
                    self.learnOrigin(head, slot)
                    self.origin.note(head, isTrusted: self.front != nil)
                },
                admits: { head in self.admits(head, slot) },
                mayAnswer: { [admission = server.admission] in admission.mayAnswer() },
                forwards: { head, rest throws(Backend.Refusal) in
                    try self.forwards(head, rest, slot, isSecure: tls != nil || isTerminated)
                }
            ) { channel, agreement in
                let handshake = ServerCarrierHandshake(
                    server: self.server,
                    channel: channel,
                    slot: slot,
                    origin: self.origin,
                    logger: self.logger
                )
                let carrier = Carrier(
                    role: .server,
                    limits: limits.carrier,
                    deflate: agreement.deflate,
                    trace: FrameTrace(self.logger),
                    receiver: handshake
                )
                try channel.pipeline.syncOperations.addHandler(carrier)
                handshake.start(carrier)
            }
        )
    }

    /// Whether there is room for the client of this request. A ticket shows that the client is known.
    private func admits(_ head: RequestHead, _ slot: AdmissionSlot) -> Bool {
        let ticket = head.fields.first(TicketField.name).flatMap { field in
            server.resources.tickets.holder(of: field, now: WallClock.unixSeconds)
        }
        return slot.enter(ticket: ticket)
    }

    /// Reads the origin from the front's header fields.
    private func learnOrigin(_ head: RequestHead, _ slot: AdmissionSlot) {
        if !hasOrigin, let origin = front?.origin(of: head) { setOrigin(origin, slot) }
    }

    /// Forwards a request that is not for the endpoint to the backend.
    ///
    /// - Returns: false if the request is for the endpoint, or if no backend has room.
    private func forwards(
        _ head: RequestHead,
        _ rest: ByteBuffer,
        _ slot: AdmissionSlot,
        isSecure: Bool
    ) throws(Backend.Refusal) -> Bool {
        let configuration = server.configuration
        guard let backend = configuration.backend, !isForEndpoint(head, configuration.path) else { return false }
        // A front appends its own value after the ones that its peer has sent.
        let scheme = front == nil ? nil : head.fields.list("X-Forwarded-Proto").last
        let origin = hasOrigin ? origin.address : channel.remoteAddress?.ip?.unmapped.description ?? "unknown"
        let isSecure = isSecure || scheme?.lowercased() == "https"
        let forwarded = try backend.forwarded(head, origin: origin, isSecure: isSecure)
        let body: RequestBody
        do throws(HTTP1Error) {
            body = try RequestBody(of: head)
        } catch {
            throw .malformed(error.description)
        }
        let (slots, address) = (server.backendSlots, slot.address)
        guard slots.enter(address, limit: configuration.serverLimits.backendConnections) else { return false }
        channel.closeFuture.whenComplete { _ in slots.leave(address) }
        // The backend's own limits apply from now on.
        slot.free()
        backend.take(channel, forwarded, body, rest: rest, limits: configuration.serverLimits)
        return true
    }

    /// Whether the path is the endpoint's, in any form of the request target.
    private func isForEndpoint(_ head: RequestHead, _ path: String) -> Bool {
        let written = (try? head.route().path) ?? String(head.target.prefix { $0 != "?" })
        return written == path && head.method != "CONNECT"
    }

    /// Notes the origin that a front has named. Its address counts for the limits from now on, also if it is loopback.
    private func setOrigin(_ origin: IPAddress, _ slot: AdmissionSlot) {
        hasOrigin = true
        logger[metadataKey: "front"] = logger[metadataKey: "peer"]
        logger[metadataKey: "peer"] = "\(origin)"
        self.origin.address = "\(origin)"
        slot.setAddress(Admission.key(origin))
    }

    private func timeOut() {
        if let context = try? channel.pipeline.syncOperations.context(handlerType: UpgradeHandler.self),
            let handler = context.handler as? UpgradeHandler
        {
            handler.timeOut(context)
        }
        channel.close(promise: nil)
    }
}

/// Answers a connection for which no slot is free, and closes it.
final class BusyHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Time for the peer to read the answer.
    static let timeout = TimeAmount.seconds(1)
    private let isPlain: Bool

    /// - Parameter isPlain: whether the connection is plain HTTP and may be answered. A TLS connection cannot be answered
    ///   before its handshake.
    init(isPlain: Bool) {
        self.isPlain = isPlain
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent { context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }

    func channelActive(context: ChannelHandlerContext) {
        let channel = context.channel
        guard isPlain else { return channel.close(promise: nil) }
        let answer =
            "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: answer)), promise: nil)
        // FIN goes first: closing a socket that has unread bytes sends RST, which may destroy the answer.
        context.close(mode: .output, promise: nil)
        context.eventLoop.assumeIsolated().scheduleTask(in: Self.timeout) { channel.close(promise: nil) }
    }
}
