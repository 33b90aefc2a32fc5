import Logging
import Mux
import NIOCore
import NetworkAddress
import ProxyConnect
import TunnelCore

/// A visitor's stream of a tunnel that is a SOCKS proxy (`-R PORT`): its bytes name the destination, which this client
/// connects to if `--allow-open` lists it.
///
/// The server passes the visitor's bytes on as they are, so the wire still names no host.
final class SocksStream {
    private enum Phase {
        case reading
        case connecting
        /// The pipe has the stream, or the stream is over.
        case ended
    }

    private let stream: StreamID
    private let pipe: StreamPipe
    private let sessionLoop: SessionLoop
    /// The rules as they are now.
    private let policy: () -> DestinationPolicy
    private let destinations: SocksDestinations
    private let names: HostNames
    private let timeout: TimeAmount
    private let logger: Logger
    private let onConnected: (any Channel) -> Void
    private var exchange = SocksServerExchange()
    private var buffer = ByteBuffer()
    private var phase = Phase.reading
    private var deadline: Scheduled<Void>?

    /// - Parameter onConnected: joins the destination's socket to the pipe.
    init(
        _ stream: StreamID,
        _ pipe: StreamPipe,
        _ sessionLoop: SessionLoop,
        policy: @escaping () -> DestinationPolicy,
        destinations: SocksDestinations,
        names: HostNames,
        timeout: TimeAmount,
        logger: Logger,
        onConnected: @escaping (any Channel) -> Void
    ) {
        self.stream = stream
        self.pipe = pipe
        self.sessionLoop = sessionLoop
        self.policy = policy
        self.destinations = destinations
        self.names = names
        self.timeout = timeout
        self.logger = logger
        self.onConnected = onConnected
    }

    /// Reads the request, for a limited time.
    func start() {
        sessionLoop.run(.accept(stream))
        pipe.reader = { self.receive($0) }
        pipe.connecting { [weak self] in self?.deadline?.cancel() }
        deadline = sessionLoop.eventLoop.assumeIsolated().scheduleTask(in: SocksHandler.timeout) {
            guard case .reading = self.phase else { return }
            self.phase = .ended
            self.pipe.fail(.timeout)
        }
    }

    private func receive(_ bytes: ByteBuffer) {
        buffer.writeImmutableBuffer(bytes)
        // Bytes behind the request are the destination's: credit goes back once its socket takes them.
        let before = buffer.readableBytes
        read()
        if case .ended = phase { buffer.clear() }
        if before > buffer.readableBytes { sessionLoop.run(.taken(stream, before - buffer.readableBytes)) }
    }

    private func read() {
        while case .reading = phase, let action = exchange.receive(&buffer) {
            switch action {
            case .send(let reply): send(reply)
            case .perform(.connect(let target)): connect(target)
            case .perform(.associate): refuse(.commandNotSupported)
            case .fail(let reply, let failure): finish(reply, "\(failure)")
            }
        }
    }

    private func send(_ bytes: ByteBuffer) {
        guard bytes.readableBytes > 0 else { return }
        sessionLoop.run(.bytes(stream, bytes, isReading: false))
    }

    // MARK: The destination

    private func connect(_ target: HostPort) {
        phase = .connecting
        deadline?.cancel()
        pipe.leads(to: target.description)
        destinations.begin(stream, pipe, target)
        switch policy().decide(.host(target), .tcp) {
        case .denied, .path: refuse(.notAllowed, "--allow-open does not list \(target)")
        case .addresses(let addresses): connect(addresses, target)
        case .lookUp(let lookup):
            let (answer, _) = names.addresses(of: lookup.name, for: .service, on: sessionLoop.eventLoop)
            answer.assumeIsolated().whenComplete { result in
                guard self.pipe.isPending else { return self.forget() }
                switch result {
                case .failure: self.refuse(.hostUnreachable, "the name \(target.host) has no address")
                case .success(let found):
                    let permitted = self.policy().permitted(found.compactMap(\.ip), of: lookup)
                    guard !permitted.isEmpty else {
                        return self.refuse(.notAllowed, "--allow-open lists no address of \(target.host)")
                    }
                    self.connect(permitted, target)
                }
            }
        }
    }

    private func connect(_ addresses: [IPAddress], _ target: HostPort) {
        let egress = TCPEgress(
            addresses: addresses,
            port: target.port,
            loop: sessionLoop.eventLoop,
            timeout: timeout
        )
        egress.connect(for: pipe).assumeIsolated().whenComplete { result in
            switch result {
            case .success(let channel):
                guard self.policy().allows(.host(target), .tcp, at: channel.remoteAddress?.ip) else {
                    channel.close(promise: nil)
                    return self.refuse(.notAllowed, "--allow-open does not list \(target) any more")
                }
                self.phase = .ended
                self.destinations.connected(self.stream, channel)
                self.send(self.exchange.answer(.succeeded))
                self.pipe.endReading(keeping: self.buffer)
                self.buffer.clear()
                self.onConnected(channel)
            case .failure(let error):
                guard self.pipe.isPending else { return self.forget() }
                self.refuse(SocksReply(.refused(EgressFailure.code(error))), EgressFailure.reason(error))
            }
        }
    }

    /// The stream is over before its destination was connected.
    private func forget() {
        phase = .ended
        destinations.forget(stream)
    }

    // MARK: Refusals

    private func refuse(_ reply: SocksReply, _ reason: String = "the command is not supported") {
        finish(exchange.answer(reply), reason)
    }

    /// Sends the last bytes, and resets the stream behind them unless the visitor closes first.
    private func finish(_ bytes: ByteBuffer, _ reason: String) {
        forget()
        deadline?.cancel()
        buffer.clear()
        // Further bytes are of no use.
        pipe.reader = { [sessionLoop, stream] in sessionLoop.run(.taken(stream, $0.readableBytes)) }
        pipe.identity.statistics.endedStreams.log(
            "SOCKS request refused",
            at: .info,
            to: logger,
            ["visitor": "\(pipe.identity.visitor)", "reason": "\(reason)"]
        )
        send(bytes)
        sessionLoop.run(.finished(stream))
        deadline = sessionLoop.eventLoop.assumeIsolated().scheduleTask(in: sessionLoop.resetTimeout) {
            self.pipe.fail(.refused)
        }
    }
}
