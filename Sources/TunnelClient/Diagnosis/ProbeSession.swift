import Logging
import Metrics
import Mux
import NIOCore
import NIOPosix
import Synchronization
import TunnelAdmin
import TunnelCore

/// A session of a diagnosis: without tunnels, and of an instance of its own, so that it disturbs no running client.
final class ProbeSession: Sendable {
    private let handle: ClientSessionHandle
    private let streams: NIOLoopBound<ForwardStreams>
    private let statistics: NIOLoopBound<TunnelStatistics>
    let loop: any EventLoop

    /// Dials one way.
    ///
    /// - Parameter withholdsCredentials: whether the proxy receives no password, whatever it asks for.
    /// - Throws: ``DialError``, as a client's dial does.
    static func dial(
        _ way: DialWay,
        _ configuration: ClientConfiguration,
        _ context: DialContext,
        withholdsCredentials: Bool = false,
        on loop: any EventLoop
    ) async throws(DialError) -> ProbeSession {
        let totals = TrafficTotals(loggedStreams: 1, metrics: TunnelMetrics(factory: NOOPMetricsHandler.instance))
        let begun = NIOLoopBoundBox<ForwardStreams?>.makeEmptyBox(valueType: ForwardStreams.self, eventLoop: loop)
        let listeners: NIOLoopBound<ForwardListeners>
        do {
            listeners = try await loop.submit {
                let listeners = ForwardListeners(
                    ForwardSet([]),
                    loop: loop,
                    limits: configuration.clientLimits,
                    totals: totals,
                    logger: context.logger
                ) { _ in }
                listeners.onSession = { begun.value = $0 }
                return NIOLoopBound(listeners, eventLoop: loop)
            }.get()
        } catch {
            throw DialRoute(way, configuration, context).error(.connect(.local(error.userDescription)))
        }
        var configuration = configuration
        // The figures are those of one connection.
        configuration.carriers = .one
        let dialler = Dialler(
            configuration: configuration,
            credentials: ClientCredentials(configuration.token),
            loop: loop,
            context: context,
            totals: totals,
            memory: MemoryBudget(capacity: configuration.clientLimits.memory, use: MemoryUse()),
            progress: ClientProgress(tunnels: []),
            tunnels: TunnelSet([]),
            listeners: listeners,
            openRules: OpenRules([], admin: [])
        )
        let handle = try await dialler.dial(way, for: nil, withholdsCredentials: withholdsCredentials) { _, _ in }
        let session = try? await loop.submit {
            begun.value.map { streams in
                ProbeSession(
                    handle,
                    streams,
                    TunnelStatistics(tunnel: 0, kind: .probe, role: .server, totals: totals),
                    on: loop
                )
            }
        }.get()
        guard let session = session ?? nil else {
            handle.end()
            throw DialRoute(way, configuration, context)
                .error(.session(SessionFailure(CarrierLoss(description: "it ended at once"))))
        }
        return session
    }

    private init(
        _ handle: ClientSessionHandle,
        _ streams: ForwardStreams,
        _ statistics: TunnelStatistics,
        on loop: any EventLoop
    ) {
        self.handle = handle
        self.streams = NIOLoopBound(streams, eventLoop: loop)
        self.statistics = NIOLoopBound(statistics, eventLoop: loop)
        self.loop = loop
    }

    // MARK: Streams

    /// Opens a probe.
    ///
    /// - Parameters:
    ///   - request: as the protocol page's section 10 has it.
    ///   - handler: the near end, which is added to the stream's channel.
    /// - Returns: the end of the stream.
    func probe(
        _ request: String,
        _ handler: any ChannelHandler & Sendable
    ) -> EventLoopFuture<SocketState.Ending> {
        open(OpenRequest(destination: request, kind: .probe, visitor: "doctor"), handler)
    }

    /// The time for the text of a probe.
    static let textTimeout = TimeAmount.seconds(3)

    /// The text that answers a probe; empty without an answer in time.
    func text(of request: String) async -> String {
        let promise = loop.makePromise(of: String.self)
        let timer = loop.scheduleTask(in: Self.textTimeout) { promise.succeed("") }
        defer { timer.cancel() }
        probe(request, TextMeter(promise)).whenComplete { _ in promise.succeed("") }
        return (try? await promise.futureResult.get()) ?? ""
    }

    /// The time for a destination to be reached.
    static let destinationTimeout = TimeAmount.seconds(4)

    /// Opens a stream to a destination.
    ///
    /// - Returns: whether the server has accepted it, or why not.
    func reach(_ destination: Destination) async -> StreamPipe.StreamAnswer {
        let promise = loop.makePromise(of: StreamPipe.StreamAnswer.self)
        let timer = loop.scheduleTask(in: Self.destinationTimeout) { promise.succeed(.refused(.timeout)) }
        defer { timer.cancel() }
        let request = OpenRequest(destination: destination.description, visitor: "doctor")
        open(request, ProbeBlank()) { answer in
            promise.succeed(answer)
            return nil
        }
        .whenComplete { ending in
            var code = ResetCode.unreachable
            if case .success(.resetByOtherEnd(let reason)) = ending { code = reason }
            promise.succeed(.refused(code))
        }
        return (try? await promise.futureResult.get()) ?? .refused(.goingAway)
    }

    @discardableResult
    private func open(
        _ request: OpenRequest,
        _ handler: any ChannelHandler & Sendable,
        answer: (@Sendable (StreamPipe.StreamAnswer) -> ByteBuffer?)? = nil
    ) -> EventLoopFuture<SocketState.Ending> {
        let promise = loop.makePromise(of: SocketState.Ending.self)
        let service = InProcessService(name: "doctor") { channel in channel.pipeline.addHandler(handler) }
        loop.flatSubmit { [self] in
            InProcessEgress(service, loop: loop).connect().flatMapThrowing { [self] channel in
                try streams.value.open(channel, request, statistics.value, answer: answer) { promise.succeed($0) }
            }
        }
        .whenFailure { _ in promise.succeed(.withoutSocket) }
        return promise.futureResult
    }

    // MARK: The session

    /// Sends no PING for a while.
    func beQuiet(for time: Duration) {
        handle.beQuiet(for: time)
    }

    /// The loss of the carrier, or the end of the session, in words; returns only then.
    func loss() async -> String {
        for await signal in handle.signals {
            switch signal {
            case .lost(let lost, _): return lost.reason
            case .ended(let end): return end.description
            case .lostLane, .renewal, .goingAway, .reminder: continue
            }
        }
        return "the session has ended"
    }

    /// Ends the session.
    func end() async {
        handle.end()
        _ = try? await handle.ended.get()
    }
}

/// A near end that does nothing: the stream is only opened.
private final class ProbeBlank: ChannelInboundHandler, Sendable {
    typealias InboundIn = ByteBuffer
}
