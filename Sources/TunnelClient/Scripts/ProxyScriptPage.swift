import HTTP1
import NIOCore
import NIOPosix
import ProxyConnect
import TunnelCore

/// A proxy script on a web server, fetched by one GET over a direct connection of its own.
///
/// Redirects are not followed, and nothing is sent that identifies the client. Compressed answers are refused, as the
/// request asks for none.
struct ProxyScriptPage: Sendable {
    /// The timeout of a fetch.
    static let longestFetch = TimeAmount.seconds(10)

    let host: String
    let port: Int
    /// The value of Host.
    let authority: String
    let target: String
    /// The limit of the answer's body in bytes, with its framing.
    let limit: Int
    /// The timeout of the fetch, with the lookup of the name.
    var timeout = Self.longestFetch
    var names = HostNames.shared

    /// Fetches the body.
    ///
    /// - Throws: ``ProxyScriptFailure``, or `CancellationError`.
    func bytes() async throws -> [UInt8] {
        let request = try request()
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let promise = loop.makePromise(of: [UInt8].self)
        let timer = loop.scheduleTask(in: timeout) { promise.fail(timedOut) }
        promise.futureResult.whenComplete { _ in timer.cancel() }
        let limit = limit
        ClientBootstrap(group: loop)
            .connectTimeout(timeout)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let handler = ProxyScriptPageHandler(request: request, limit: limit, promise: promise)
                    try channel.pipeline.syncOperations.addHandler(handler)
                    promise.futureResult.whenComplete { _ in channel.close(promise: nil) }
                }
            }
            .resolver(HostResolver(names, for: .carrier, on: loop))
            .connect(host: host, port: port)
            .whenFailure { promise.fail(connectFailure($0)) }
        return try await withTaskCancellationHandler {
            try await promise.futureResult.get()
        } onCancel: {
            promise.fail(CancellationError())
        }
    }

    private func request() throws -> ByteBuffer {
        var head = RequestHead(method: "GET", target: target)
        try head.fields.append("Host", authority)
        try head.fields.append("Accept", "application/x-ns-proxy-autoconfig, */*")
        try head.fields.append("Accept-Encoding", "identity")
        try head.fields.append("Connection", "close")
        var buffer = ByteBuffer()
        try head.serialize(into: &buffer)
        return buffer
    }

    private var timedOut: ProxyScriptFailure {
        ProxyScriptFailure(
            reason: "no whole answer within \(timeout.nanoseconds / 1_000_000_000) s",
            remedy: "check the address and the network"
        )
    }

    private func connectFailure(_ error: any Error) -> ProxyScriptFailure {
        guard let failure = error as? NIOConnectionError else {
            if case .connectTimeout? = error as? ChannelError { return timedOut }
            return ProxyScriptFailure(reason: error.userDescription, remedy: "check the address and the network")
        }
        guard let first = failure.connectionErrors.first else {
            let failure = failure.nameFailure ?? .notFound
            return ProxyScriptFailure(reason: failure.sentence(about: host), remedy: "check the name")
        }
        switch SocketFailure(first.error) {
        case .refused?:
            return ProxyScriptFailure(
                reason: "\(host):\(port) refused the connection",
                remedy: "check the address, and that the web server runs"
            )
        case .unreachable?:
            return ProxyScriptFailure(reason: "no way to \(host):\(port)", remedy: "check the network")
        default:
            if case .connectTimeout? = first.error as? ChannelError { return timedOut }
            return ProxyScriptFailure(
                reason: "\(host):\(port): \(first.error.userDescription)",
                remedy: "check the network"
            )
        }
    }
}

/// Performs the exchange on the connection, which closes once the promise is completed.
private final class ProxyScriptPageHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum Stage {
        case head(ResponseHeadParser, interim: Int)
        case body(BodyDrain)
        case finished
    }

    /// The limit of interim answers before the final one.
    private static let interimLimit = ConnectExchange.interimLimit

    private let request: ByteBuffer
    private let limit: Int
    private let promise: EventLoopPromise<[UInt8]>
    private var stage = Stage.head(ResponseHeadParser(), interim: 0)

    init(request: ByteBuffer, limit: Int, promise: EventLoopPromise<[UInt8]>) {
        self.request = request
        self.limit = limit
        self.promise = promise
    }

    func channelActive(context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(request), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        do {
            try receive(&buffer)
        } catch let failure as ProxyScriptFailure {
            finish(.failure(failure))
        } catch {
            let isTooLong = (error as? HTTP1Error)?.kind == .bodyTooLarge
            finish(.failure(isTooLong ? .tooLong(limit: limit) : Self.malformed(error.userDescription)))
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        if case .body(var drain) = stage, drain.ended() {
            return finish(.success(Array(buffer: drain.collected)))
        }
        finish(.failure(Self.malformed("the connection ended before it was complete")))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        let what = error.userDescription
        finish(.failure(ProxyScriptFailure(reason: "the connection broke: \(what)", remedy: "check the network")))
    }

    private func receive(_ buffer: inout ByteBuffer) throws {
        while buffer.readableBytes > 0 {
            switch stage {
            case .finished:
                return
            case .head(var parser, let interim):
                let head = try parser.receive(&buffer)
                stage = .head(parser, interim: interim)
                guard let head else { return }
                if (100...199).contains(head.status), head.status != 101, interim < Self.interimLimit {
                    stage = .head(parser, interim: interim + 1)
                } else {
                    try accept(head)
                }
            case .body(var drain):
                // The drain's buffer must have one owner while it grows.
                stage = .finished
                let isComplete = try drain.receive(&buffer)
                stage = .body(drain)
                if isComplete { finish(.success(Array(buffer: drain.collected))) }
            }
        }
    }

    private func accept(_ head: ResponseHead) throws {
        guard head.status == 200 else { throw Self.refused(head) }
        guard head.fields.list("Content-Encoding").allSatisfy({ $0.lowercased() == "identity" }) else {
            throw ProxyScriptFailure(
                reason: "the answer is compressed, and the request did not allow that",
                remedy: "let the web server send the script as it is"
            )
        }
        let drain = try BodyDrain(response: head, limit: limit, keeping: limit)
        guard drain.declaredLength ?? 0 <= limit else { throw ProxyScriptFailure.tooLong(limit: limit) }
        stage = .body(drain)
        if drain.isFinished { finish(.success([])) }
    }

    private func finish(_ result: Result<[UInt8], ProxyScriptFailure>) {
        stage = .finished
        switch result {
        case .success(let bytes): promise.succeed(bytes)
        case .failure(let failure): promise.fail(failure)
        }
    }

    private static func refused(_ head: ResponseHead) -> ProxyScriptFailure {
        let reason = head.reason.isEmpty ? "" : " \(head.reason.escapedForDisplay(limit: 80))"
        guard let next = head.fields.first("Location") else {
            return ProxyScriptFailure(reason: "HTTP \(head.status)\(reason)", remedy: "check the address")
        }
        return ProxyScriptFailure(
            reason: "HTTP \(head.status)\(reason), Location: \(next.escapedForDisplay(limit: 200))",
            remedy: "redirects are not followed: give the address of the script itself"
        )
    }

    private static func malformed(_ what: String) -> ProxyScriptFailure {
        ProxyScriptFailure(reason: "the answer is malformed: \(what)", remedy: "check the address")
    }
}
