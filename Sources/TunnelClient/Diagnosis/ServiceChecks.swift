import NIOCore
import NIOPosix
import TunnelCore

/// Checks whether the services of tunnels answer, as a visitor would find them.
struct ServiceChecks {
    /// The time for a service to accept a connection.
    static let connectTimeout = TimeAmount.seconds(3)
    /// The time for a greeting. Many protocols have none, since the client speaks first.
    static let greetingTimeout = TimeAmount.milliseconds(500)
    /// Bytes of a greeting that are shown.
    static let greetingLength = 60

    let loop: any EventLoop

    /// The check of one tunnel's service; nil if it has none that can be asked.
    func check(_ spec: TunnelSpec) async -> DiagnosisCheck? {
        let begin = ContinuousClock.now
        do {
            switch spec.target {
            case .socks, .inProcess: return nil
            case .address where spec.transport == .udp:
                return DiagnosisCheck("service", .ok, "\(spec.service) is UDP, and cannot be asked")
            case .address(let host, let port):
                let resolver = HostResolver(for: .service, on: loop)
                return try await greet(spec, begin) { bootstrap in
                    bootstrap.resolver(resolver).connect(host: host, port: Int(port))
                }
            case .unix(let path):
                return try await greet(spec, begin) { $0.connect(unixDomainSocketPath: path) }
            }
        } catch {
            return .failed(
                "service",
                .unreachable,
                "\(spec.service) does not answer: \(EgressFailure.reason(error))",
                remedy: "start the service, or correct -R \(spec): its visitors would be reset"
            )
        }
    }

    private func greet(
        _ spec: TunnelSpec,
        _ begin: ContinuousClock.Instant,
        _ connect: (ClientBootstrap) -> EventLoopFuture<any Channel>
    ) async throws -> DiagnosisCheck {
        let promise = loop.makePromise(of: String.self)
        let bootstrap = ClientBootstrap(group: loop).connectTimeout(Self.connectTimeout).channelInitializer { channel in
            channel.pipeline.addHandler(GreetingReader(promise))
        }
        let channel: any Channel
        do {
            channel = try await connect(bootstrap).get()
        } catch {
            promise.succeed("")
            throw error
        }
        let time = begin.duration(to: .now)
        let timer = loop.scheduleTask(in: Self.greetingTimeout) { promise.succeed("") }
        let greeting = try await promise.futureResult.get()
        timer.cancel()
        channel.close(promise: nil)
        let shown = greeting.isEmpty ? "without a greeting" : "with \(greeting)"
        return DiagnosisCheck(
            "service",
            .ok,
            "\(spec.service) answers \(shown) (\(time.shown))",
            figures: ["ms": time.milliseconds]
        )
    }
}

/// Reads the first line of a service that speaks first.
private final class GreetingReader: ChannelInboundHandler, @unchecked Sendable {
    // Bound to its channel's event loop.
    typealias InboundIn = ByteBuffer

    private let promise: EventLoopPromise<String>

    init(_ promise: EventLoopPromise<String>) {
        self.promise = promise
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data).readableBytesView.prefix { $0 != 10 && $0 != 13 }
        let text = String(decoding: bytes, as: UTF8.self).escapedForDisplay(limit: ServiceChecks.greetingLength)
        promise.succeed(text.isEmpty ? "bytes" : text)
    }

    func channelInactive(context: ChannelHandlerContext) {
        promise.succeed("")
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
