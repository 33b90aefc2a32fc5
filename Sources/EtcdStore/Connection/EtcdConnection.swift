import HTTP1
import NIOCore
import NIOPosix
import NIOSSL
import TunnelCore

/// One connection to an endpoint. It carries one request at a time.
final class EtcdConnection: Sendable {
    /// The endpoint.
    let endpoint: EtcdEndpoint
    private let channel: any Channel
    private let inbox: ByteInbox

    private init(_ endpoint: EtcdEndpoint, _ channel: any Channel, _ inbox: ByteInbox) {
        (self.endpoint, self.channel, self.inbox) = (endpoint, channel, inbox)
    }

    /// Whether it has not ended.
    var isOpen: Bool { channel.isActive && inbox.isOpen }

    /// Opens a connection. The handshake of TLS is part of the first request.
    static func open(
        _ endpoint: EtcdEndpoint,
        _ transport: EtcdTransport,
        until deadline: NIODeadline
    ) async throws(ConnectionFailure) -> EtcdConnection {
        let loop = transport.group.next()
        let host = endpoint.place.host
        let verification = endpoint.isSecure ? PeerVerification(transport.verifier, name: PeerName(host)) : nil
        let inbox = ByteInbox(verification: verification, host: endpoint.place.description)
        let promise = loop.makePromise(of: (any Channel).self)
        let timer = loop.scheduleTask(deadline: deadline) { promise.fail(ConnectionFailure.late) }
        promise.futureResult.whenComplete { _ in timer.cancel() }
        ClientBootstrap(group: loop)
            .connectTimeout(max(deadline - .now(), .milliseconds(1)))
            .channelOption(.socketOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if let verification {
                        try pipeline.addHandler(
                            NIOSSLClientHandler(
                                context: transport.context,
                                serverHostname: PeerName(host).serverNameIndication,
                                customVerificationCallback: verification.callback
                            )
                        )
                    }
                    try pipeline.addHandler(inbox)
                }
            }
            .resolver(HostResolver(transport.names, for: .carrier, on: loop))
            .connect(host: host, port: Int(endpoint.place.port))
            .whenComplete { result in
                switch result {
                case .failure(let error):
                    promise.fail(error)
                case .success(let channel):
                    promise.succeed(channel)
                    // A connection that comes too late has no user.
                    promise.futureResult.whenFailure { _ in channel.close(promise: nil) }
                }
            }
        do {
            return EtcdConnection(endpoint, try await promise.futureResult.get(), inbox)
        } catch {
            throw ConnectionFailure(error)
        }
    }

    /// Sends a request.
    func send(_ request: ByteBuffer) {
        channel.writeAndFlush(request).whenFailure { [inbox, channel] error in
            inbox.fail(ConnectionFailure(error))
            channel.close(promise: nil)
        }
    }

    /// Waits for bytes.
    ///
    /// - Returns: nil at the end of the connection.
    func receive() async throws(ConnectionFailure) -> ByteBuffer? {
        try await inbox.receive(from: channel)
    }

    /// Closes the connection at a time, unless the timer is cancelled before.
    func limit(until deadline: NIODeadline) -> Scheduled<Void> {
        channel.eventLoop.scheduleTask(deadline: deadline) { [self] in close(.late) }
    }

    /// Closes the connection. A reader gets the failure.
    func close(_ failure: ConnectionFailure = .closed) {
        inbox.fail(failure)
        channel.close(promise: nil)
    }

    /// Sends a request, and reads its whole answer. The connection is closed unless it can carry another request.
    func exchange(_ request: ByteBuffer, until deadline: NIODeadline) async throws(ConnectionFailure) -> EtcdResponse {
        let timer = limit(until: deadline)
        defer { timer.cancel() }
        send(request)
        do {
            return try await answer()
        } catch {
            close(error)
            throw error
        }
    }

    private func answer() async throws(ConnectionFailure) -> EtcdResponse {
        var reader = ResponseReader(to: "POST", maySwitch: false, limits: EtcdLimits.head)
        var response = EtcdResponse(status: 0, body: ByteBuffer())
        var allowance = EtcdLimits.answer
        while true {
            let received = try await receive()
            guard var bytes = received else {
                guard reader.ended() else { throw .closed }
                return response
            }
            allowance -= bytes.readableBytes
            guard allowance >= 0 else { throw .tooLong }
            do throws(HTTP1Error) {
                while let event = try reader.next(from: &bytes) {
                    switch event {
                    case .head(let head, _): response.status = head.status
                    case .content(var content): response.body.writeBuffer(&content)
                    case .informational, .end, .switched: break
                    }
                }
            } catch {
                throw ConnectionFailure(error)
            }
            guard reader.isFinished else { continue }
            if !reader.isPersistent || bytes.readableBytes > 0 { close() }
            return response
        }
    }
}

/// An answer of an endpoint.
struct EtcdResponse: Sendable {
    /// The status of HTTP.
    var status: Int
    /// The body.
    var body: ByteBuffer
}
