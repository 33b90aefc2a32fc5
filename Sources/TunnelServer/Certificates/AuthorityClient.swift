import ACME
import HTTP1
import NIOCore
import NIOPosix
import NIOSSL
import TunnelCore

/// Sends requests to a CA: HTTP/1.1 over TLS, one connection for each request, and one request at a time.
struct AuthorityClient: Sendable {
    /// The time for a request with its answer, the lookup of the name included.
    static let timeout = TimeAmount.seconds(30)

    private let context: NIOSSLContext
    private let verifier: PeerVerifier
    private let names: HostNames

    /// - Parameter authorities: CAs that are trusted besides the system's.
    /// - Throws: ``ServerError/configuration(_:)``.
    init(trusting authorities: [NIOSSLCertificate], names: HostNames = .shared) throws(ServerError) {
        var tls = TLSConfiguration.tunnelClient()
        // Our own verifier compares the names too.
        tls.certificateVerification = .noHostnameVerification
        tls.trustRoots = .certificates([])
        tls.applicationProtocols = ["http/1.1"]
        do {
            context = try NIOSSLContext(configuration: tls)
        } catch {
            throw .configuration("TLS for the CA of [acme] cannot be set up: \(error.userDescription)")
        }
        verifier = PeerVerifier(TLSTrust(authorities: authorities), .server)
        self.names = names
    }

    /// Sends a request, and reads its answer.
    ///
    /// - Throws: ``OrderFailure`` of the kind `authority`, or `CancellationError`.
    func send(_ request: ACMERequest) async throws -> ACMEResponse {
        let place = request.url.place
        var bytes = ByteBuffer()
        do {
            try request.head(from: softwareName).serialize(into: &bytes)
        } catch {
            throw Self.failure(place.description, "\(error)", "correct directory of [acme]")
        }
        bytes.writeBytes(request.body)
        let sent = bytes
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let promise = loop.makePromise(of: ACMEResponse.self)
        let timer = loop.scheduleTask(in: Self.timeout) {
            promise.fail(
                Self.failure(
                    "\(place)",
                    "no whole answer within \(Self.timeout.nanoseconds / 1_000_000_000) s",
                    Self.network
                )
            )
        }
        promise.futureResult.whenComplete { _ in timer.cancel() }
        let verification = PeerVerification(verifier, name: PeerName(place.host))
        ClientBootstrap(group: loop)
            .connectTimeout(Self.timeout)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if request.url.isSecure {
                        try pipeline.addHandler(
                            NIOSSLClientHandler(
                                context: context,
                                serverHostname: PeerName(place.host).serverNameIndication,
                                customVerificationCallback: verification.callback
                            )
                        )
                    }
                    let handler = AuthorityExchangeHandler(
                        request: sent,
                        isHead: request.method == .head,
                        limit: request.answerLimit,
                        place: place.description,
                        verification: verification,
                        promise: promise
                    )
                    try pipeline.addHandler(handler)
                    promise.futureResult.whenComplete { _ in channel.close(promise: nil) }
                }
            }
            .resolver(HostResolver(names, for: .carrier, on: loop))
            .connect(host: place.host, port: Int(place.port))
            .whenFailure { promise.fail(Self.failure(place.description, $0.userDescription, Self.network)) }
        return try await withTaskCancellationHandler {
            try await promise.futureResult.get()
        } onCancel: {
            promise.fail(CancellationError())
        }
    }

    static let network = "check this machine's way to the CA, and directory of [acme]"

    static func failure(_ place: String, _ what: String, _ remedy: String) -> OrderFailure {
        OrderFailure(.authority, "the CA \(place) was not reached: \(what)", remedy: remedy)
    }
}

/// Performs the exchange on the connection, which closes once the promise is completed.
private final class AuthorityExchangeHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum Stage {
        case head(ResponseHeadParser, interim: Int)
        case body(ResponseHead, BodyDrain)
        case finished
    }

    /// Interim answers before the final one.
    private static let interimLimit = 8
    /// The head of an answer: problem documents and certificates are in the body.
    private static let limits = HeadLimits(maximumBytes: 32_768, maximumFields: 128, maximumLineBytes: 16_384)

    private let request: ByteBuffer
    private let isHead: Bool
    private let limit: Int
    private let place: String
    private let verification: PeerVerification
    private let promise: EventLoopPromise<ACMEResponse>
    private var stage = Stage.head(ResponseHeadParser(limits: AuthorityExchangeHandler.limits), interim: 0)

    init(
        request: ByteBuffer,
        isHead: Bool,
        limit: Int,
        place: String,
        verification: PeerVerification,
        promise: EventLoopPromise<ACMEResponse>
    ) {
        (self.request, self.isHead, self.limit) = (request, isHead, limit)
        (self.place, self.verification, self.promise) = (place, verification, promise)
    }

    /// NIOSSL keeps the request until the handshake has succeeded.
    func channelActive(context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(request), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        do {
            try receive(&buffer)
        } catch {
            let isTooLong = error.kind == .bodyTooLarge
            fail(isTooLong ? "its answer has more than \(limit) bytes" : "its answer is malformed: \(error)")
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        if case .body(let head, var drain) = stage, drain.ended() { return finish(head, drain) }
        fail("the connection ended before the answer was complete")
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // Without a goodbye the end is told by the length; `channelInactive` follows.
        if case NIOSSLError.uncleanShutdown = error { return }
        if let problem = verification.problem {
            promise.fail(
                AuthorityClient.failure(
                    place,
                    problem.sentence(of: place),
                    "give the file of a private CA's root as ca of [acme]"
                )
            )
            return finish()
        }
        fail(error.userDescription)
    }

    private func receive(_ buffer: inout ByteBuffer) throws(HTTP1Error) {
        while buffer.readableBytes > 0 {
            switch stage {
            case .finished:
                return
            case .head(var parser, let interim):
                let head = try parser.receive(&buffer)
                stage = .head(parser, interim: interim)
                guard let head else { return }
                if (100...199).contains(head.status), interim < Self.interimLimit {
                    stage = .head(parser, interim: interim + 1)
                } else {
                    let drain = try BodyDrain(response: head, limit: limit, keeping: limit)
                    guard isHead || drain.declaredLength ?? 0 <= limit else { throw HTTP1Error(.bodyTooLarge) }
                    stage = .body(head, drain)
                    if isHead || drain.isFinished { return finish(head, drain) }
                }
            case .body(let head, var drain):
                // The drain's buffer must have one owner while it grows.
                stage = .finished
                let isComplete = try drain.receive(&buffer)
                stage = .body(head, drain)
                if isComplete { finish(head, drain) }
            }
        }
    }

    private func finish(_ head: ResponseHead, _ drain: BodyDrain) {
        finish()
        let body = isHead ? [] : Array(buffer: drain.collected)
        promise.succeed(ACMEResponse(status: head.status, fields: head.fields, body: body))
    }

    private func finish() { stage = .finished }

    private func fail(_ what: String) {
        finish()
        promise.fail(AuthorityClient.failure(place, what, AuthorityClient.network))
    }
}
