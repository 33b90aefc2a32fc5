import HTTP1
import Logging
import NIOCore
import NIOSSL
import NetworkAddress
import TunnelAdmin
import TunnelCore
import WebSocket

/// One accepted connection on its way to a carrier: its place among the strangers, its deadline, its upgrade.
final class ServerConnection {
    private let server: ServerCore
    private let channel: any Channel
    private let address: String?
    /// The fronts, where this connection comes from one.
    private let front: TrustedFronts?
    private var logger: Logger
    /// Where it comes from, as far as is known.
    private var peer: String
    /// Whether somebody has said already where the connection comes from.
    private var hasOrigin = false

    private let slot: Admission.Place

    /// Takes over a place that has been taken for `address`.
    init(
        server: ServerCore,
        channel: any Channel,
        slot: Admission.Place,
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
        self.peer = channel.peerAddress?.inShort ?? "unix"
    }

    /// Prepares the pipeline.
    func install(tls: TLSForServer?) throws {
        let limits = server.configuration.serverLimits
        let patience = TimeAmount(limits.handshakeTimeout)
        let timeout = channel.eventLoop.assumeIsolated().scheduleTask(in: patience) { self.timeOut() }
        let place = AdmissionSlot(server.admission, slot, address: address, deadline: timeout) { [channel] in
            channel.close(promise: nil)
        }
        // However the connection goes, and however early.
        channel.closeFuture.assumeIsolated().whenComplete { _ in place.giveBack() }
        try SocketOptions.carrier(channel)
        let pipeline = channel.pipeline.syncOperations
        if front != nil {
            try pipeline.addHandler(
                ProxyProtocolHandler(isRequired: false, timeout: patience) { header in
                    if let source = header?.ends?.source.address { self.comes(from: source, place) }
                }
            )
        }
        let check = FirstByteCheck(isTLS: tls != nil, throttle: server.resources.logs.refusedRequests, logger: logger)
        try pipeline.addHandler(check)
        let handshake = tls?.handshake()
        if let handshake { try pipeline.addHandler(handshake.handler) }
        try pipeline.addHandler(
            UpgradeHandler(
                upgrade: server.upgrade,
                limits: limits.head,
                logger: logger,
                throttle: server.resources.logs.refusedRequests,
                verification: handshake?.verification,
                speaks: { place.speaks() },
                admits: { head in self.admits(head, place) },
                mayAnswer: { [admission = server.admission] in admission.mayAnswer() },
                handsOn: { head, rest throws(Backend.Refusal) in
                    try self.handsOn(head, rest, place, isSecure: tls != nil)
                }
            ) { channel, agreement in
                let greeting = ServerCarrierHandshake(
                    server: self.server,
                    channel: channel,
                    place: place,
                    peer: self.peer,
                    logger: self.logger
                )
                let carrier = Carrier(
                    role: .server,
                    limits: limits.carrier,
                    deflate: agreement.deflate,
                    receiver: greeting
                )
                try channel.pipeline.syncOperations.addHandler(carrier)
                greeting.start(carrier)
            }
        )
    }

    /// Whether there is room for the client that sends this request. One that shows a ticket is known.
    private func admits(_ head: RequestHead, _ place: AdmissionSlot) -> Bool {
        learnOrigin(head, place)
        let ticket = head.fields.first(TicketField.name).flatMap { field in
            server.resources.tickets.holder(of: field, now: WallClock.unixSeconds)
        }
        return place.enter(ticket: ticket)
    }

    private func learnOrigin(_ head: RequestHead, _ place: AdmissionSlot) {
        if !hasOrigin, let origin = front?.origin(of: head) { comes(from: origin, place) }
    }

    /// Hands a request that is not for the endpoint on to the backend, where there is one with room.
    private func handsOn(
        _ head: RequestHead,
        _ rest: ByteBuffer,
        _ place: AdmissionSlot,
        isSecure: Bool
    ) throws(Backend.Refusal) -> Bool {
        let configuration = server.configuration
        guard let backend = configuration.backend, !isForEndpoint(head, configuration.path) else { return false }
        learnOrigin(head, place)
        // What a front has added stands behind what its visitor has said.
        let scheme = front == nil ? nil : head.fields.list("X-Forwarded-Proto").last
        let origin = hasOrigin ? peer : channel.remoteAddress?.ip?.unmapped.description ?? "unknown"
        let isSecure = isSecure || scheme?.lowercased() == "https"
        let forwarded = try backend.forwarded(head, origin: origin, isSecure: isSecure)
        let body: RequestBody
        do throws(HTTP1Error) {
            body = try RequestBody(of: head)
        } catch {
            throw .malformed(error.description)
        }
        let (places, address) = (server.backendSlots, place.address)
        guard places.enter(address, most: configuration.serverLimits.backendConnections) else { return false }
        channel.closeFuture.whenComplete { _ in places.leave(address) }
        // No stranger to the tunnel any more, and held to the backend's own bounds.
        place.giveBack()
        backend.take(channel, forwarded, body, rest: rest, limits: configuration.serverLimits)
        return true
    }

    /// Whether the path is the endpoint's, in whichever form the target is written.
    private func isForEndpoint(_ head: RequestHead, _ path: String) -> Bool {
        let written = (try? head.route().path) ?? String(head.target.prefix { $0 != "?" })
        return written == path && head.method != "CONNECT"
    }

    /// A front has named who is behind it: that address bears the costs from now on, loopback too.
    private func comes(from origin: IPAddress, _ place: AdmissionSlot) {
        hasOrigin = true
        logger[metadataKey: "front"] = logger[metadataKey: "peer"]
        logger[metadataKey: "peer"] = "\(origin)"
        peer = "\(origin)"
        place.comes(from: Admission.key(origin))
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

/// Answers a connection for which there is no place, and closes it.
final class BusyHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// How long the other end may take to read the answer.
    static let patience = TimeAmount.seconds(1)
    private let isPlain: Bool

    /// - Parameter isPlain: whether the connection is HTTP, and may be answered; to a TLS one nothing can be said before its
    ///   handshake.
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
        // FIN first: a close over an unread request is a reset, which may destroy the answer.
        context.close(mode: .output, promise: nil)
        context.eventLoop.assumeIsolated().scheduleTask(in: Self.patience) { channel.close(promise: nil) }
    }
}
