import NIOCore
import ProxyConnect
import WebSocket

/// The steps of one dial, from TCP to a WebSocket.
///
/// ```
///              connected          secured         established           secured
///   connecting ─────────▶ proxyTLS ──────▶ connect ──────────▶ serverTLS ──────▶ upgrade ──▶ finished (upgraded)
///       ▲                                  socks
///       └──────────── redial ────────────────┘
///
///   from each of them: a failure, the end of the connection, the timeout of the hop ──▶ finished (failed)
/// ```
///
/// - A step that the route does not need is left out: `proxyTLS` without an https proxy, `connect` and `socks` without
///   a proxy, `serverTLS` without wss.
/// - Each hop has a timeout of its own. The exchange with an HTTP proxy has one timeout for all of its connections.
/// - A proxy may close the connection between two legs of the exchange. The steps then ask for another connection and
///   wait for it in `connecting`.
/// - Bytes that arrive together with the end of one step belong to the next step, which receives them.
///
/// Pure: events go in, actions come out. The caller has the channel, the clock and the TLS handshakes.
struct DialSteps: Sendable {
    private enum State: Sendable {
        case connecting(DialOpening)
        case proxyTLS(DialOpening)
        case connect(ConnectExchange)
        case socks(SocksExchange)
        case serverTLS
        case upgrade(UpgradeExchange)
        case finished
    }

    private let proxyScheme: ProxyURL.Scheme?
    private let isSecure: Bool
    private let upgrade: UpgradeExchange
    private var state: State
    /// Bytes that no step has taken yet.
    private var pending = ByteBuffer()

    /// - Parameters:
    ///   - opening: a fresh exchange, not yet started.
    ///   - proxyScheme: the scheme of the proxy's URL; nil without a proxy.
    ///   - isSecure: whether TLS is spoken with the server.
    ///   - upgrade: a fresh exchange, not yet started.
    init(_ opening: DialOpening, proxyScheme: ProxyURL.Scheme?, isSecure: Bool, upgrade: UpgradeExchange) {
        self.proxyScheme = proxyScheme
        self.isSecure = isSecure
        self.upgrade = upgrade
        state = .connecting(opening)
    }

    /// Whether the dial has come to its end, so that events have no effect.
    var isFinished: Bool {
        if case .finished = state { true } else { false }
    }

    /// Takes an event.
    ///
    /// - Returns: the actions that follow from it, in order.
    mutating func handle(_ event: DialEvent) -> [DialAction] {
        switch event {
        case .connected: connected()
        case .received(let bytes): receive(bytes)
        case .secured: secured()
        case .ticket(let ticket): receive(ticket)
        case .tlsFailed(let failure): tlsFailed(failure)
        case .tlsBroke(let failure): tlsBroke(failure)
        case .socketFailed: isFinished ? [] : [.close]
        case .closed: closed()
        case .timedOut: timedOut()
        }
    }

    // MARK: Steps

    private mutating func connected() -> [DialAction] {
        guard case .connecting(let opening) = state else { return [] }
        guard proxyScheme == .https else { return open(opening) }
        state = .proxyTLS(opening)
        return [.startTimer(.hop), .startTLS(.proxy, early: ByteBuffer())]
    }

    private mutating func secured() -> [DialAction] {
        switch state {
        case .proxyTLS(let opening): open(opening)
        case .serverTLS: startUpgrade()
        case .connecting, .connect, .socks, .upgrade, .finished: []
        }
    }

    private mutating func open(_ opening: DialOpening) -> [DialAction] {
        switch opening {
        case .direct:
            return reachServer()
        case .connect(var exchange):
            let action = exchange.start()
            return [.startTimer(.hop)] + follow(action, exchange)
        case .nextLeg(let exchange, let request):
            return [.startTimer(.exchange)] + follow(.send(request), exchange)
        case .socks(var exchange):
            let action = exchange.start()
            return [.startTimer(.hop)] + follow(action, exchange)
        }
    }

    private mutating func reachServer() -> [DialAction] {
        guard isSecure else { return startUpgrade() }
        state = .serverTLS
        return [.startTimer(.hop), .startTLS(.server, early: takePending())]
    }

    private mutating func startUpgrade() -> [DialAction] {
        var exchange = upgrade
        let action = exchange.start()
        return [.startTimer(.hop)] + follow(action, exchange)
    }

    // MARK: Exchanges

    private mutating func follow(_ action: ConnectExchange.Action?, _ exchange: ConnectExchange) -> [DialAction] {
        state = .connect(exchange)
        let warning: [DialAction] = exchange.scheme == .basic ? [.passwordIsReadable] : []
        switch action {
        case .send(let bytes):
            return warning + [.send(bytes)]
        case .established:
            return [.proxyEstablished(exchange.passage)] + reachServer()
        case .reconnectThenSend(let request):
            state = .connecting(.nextLeg(exchange, request: request))
            _ = takePending()
            return warning + [.redial]
        case .fetchTicket(let input):
            return [.fetchTicket(input: input)]
        case .fail(let error):
            return fail(.proxy(.connect(error)))
        case nil:
            return []
        }
    }

    private mutating func follow(_ action: SocksExchange.Action?, _ exchange: SocksExchange) -> [DialAction] {
        state = .socks(exchange)
        switch action {
        // A proxy may answer ahead of the question; its bytes are then pending.
        case .send(let bytes): return [.send(bytes)] + advance()
        case .established: return [.proxyEstablished(ProxyPassage())] + reachServer()
        case .fail(let error): return fail(.proxy(.socks(error)))
        case nil: return []
        }
    }

    private mutating func follow(_ action: UpgradeExchange.Action?, _ exchange: UpgradeExchange) -> [DialAction] {
        state = .upgrade(exchange)
        switch action {
        case .send(let bytes):
            return [.send(bytes)] + advance()
        case .upgraded(let agreement, let answer):
            state = .finished
            return [.upgraded(agreement, answer, rest: takePending())]
        case .fail(let failure):
            return fail(.upgrade(failure))
        case nil:
            return []
        }
    }

    private mutating func receive(_ ticket: Result<[UInt8], TicketFailure>) -> [DialAction] {
        guard case .connect(var exchange) = state else { return [] }
        let action = exchange.ticket(ticket)
        return follow(action, exchange)
    }

    private mutating func receive(_ bytes: ByteBuffer) -> [DialAction] {
        guard !isFinished else { return [] }
        pending.writeImmutableBuffer(bytes)
        return advance()
    }

    /// Gives the bytes that have arrived to the step that waits for some.
    private mutating func advance() -> [DialAction] {
        guard pending.readableBytes > 0 else { return [] }
        // Before each call the state lets go of the exchange, whose buffers must have one owner while they grow.
        switch state {
        case .connecting, .proxyTLS, .serverTLS, .finished:
            return []
        case .connect(var exchange):
            state = .finished
            let action = exchange.receive(&pending)
            return follow(action, exchange)
        case .socks(var exchange):
            state = .finished
            let action = exchange.receive(&pending)
            return follow(action, exchange)
        case .upgrade(var exchange):
            state = .finished
            let action = exchange.receive(&pending)
            return follow(action, exchange)
        }
    }

    private mutating func takePending() -> ByteBuffer {
        defer { pending = ByteBuffer() }
        return pending
    }

    // MARK: Failures

    private mutating func fail(_ failure: DialFailure) -> [DialAction] {
        state = .finished
        _ = takePending()
        return [.fail(failure)]
    }

    private mutating func tlsFailed(_ failure: TLSHandshakeFailure) -> [DialAction] {
        switch state {
        case .proxyTLS: fail(.tls(.proxy, failure))
        case .serverTLS: fail(.tls(.server, failure))
        case .connecting, .connect, .socks, .upgrade: [.close]
        case .finished: []
        }
    }

    private mutating func tlsBroke(_ failure: TLSHandshakeFailure) -> [DialAction] {
        switch state {
        // With TLS 1.3 a peer judges the client's certificate after the handshake is complete for the client.
        case .connect, .socks: fail(.tls(.proxy, failure))
        case .upgrade(let exchange) where !exchange.isReadingPage: fail(.tls(isSecure ? .server : .proxy, failure))
        case .connecting, .proxyTLS, .serverTLS, .upgrade, .finished: tlsFailed(failure)
        }
    }

    private mutating func closed() -> [DialAction] {
        switch state {
        case .connecting, .finished:
            return []
        case .proxyTLS:
            return fail(.tls(.proxy, .closed))
        case .connect(var exchange):
            // No action follows while a ticket is being fetched.
            let action = exchange.connectionClosed()
            return follow(action, exchange)
        case .socks(var exchange):
            let action = exchange.connectionClosed()
            return follow(action, exchange)
        case .serverTLS:
            return fail(.tls(.server, .closed))
        case .upgrade(var exchange):
            let action = exchange.connectionClosed()
            return follow(action, exchange)
        }
    }

    private mutating func timedOut() -> [DialAction] {
        switch state {
        case .connecting, .finished: return []
        case .proxyTLS: return fail(.tls(.proxy, .silent))
        case .connect(var exchange): return fail(.proxy(.connect(exchange.deadline())))
        case .socks(var exchange): return fail(.proxy(.socks(exchange.deadline())))
        case .serverTLS: return fail(.tls(.server, .silent))
        case .upgrade(var exchange):
            let action = exchange.deadline()
            return follow(action, exchange)
        }
    }
}
