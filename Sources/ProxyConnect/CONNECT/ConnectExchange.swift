import HTTP1
import NIOCore
import NetworkAddress

/// The exchange with an HTTP proxy that opens a tunnel (RFC 9110, section 9.3.6), from the first CONNECT to the 2xx.
///
/// ```
///            start            407, connection kept          2xx
///   idle ───────────▶ awaiting ◀──────────────▶ draining      ───▶ finished (established)
///                        │  ▲  407, not kept: reconnect
///                        │  └──────────────┘
///                        └── any other status ─▶ readingPage ───▶ finished (failed)
/// ```
///
/// Negotiate moves from `draining` through `awaitingTicket` to `awaiting`, since its tokens come from outside.
///
/// - A 2xx ends the exchange directly behind its head, whatever its fields say about a body (R8). The server's first
///   bytes stay in the caller's buffer (R6).
/// - Interim answers are skipped, at most 8. The status comes only from the status line (R13).
/// - A 407 is answered by the strongest scheme that is offered and permitted. Its body is discarded, up to 64 KiB, to
///   reuse the connection. Otherwise the caller is asked to dial again.
/// - A 407 to a fresh answer is a final refusal. A 407 to credentials that were sent ahead is a challenge.
/// - Any other status fails once the beginning of its page has arrived, for the message.
///
/// The exchange is pure: bytes go in, actions come out. Not enforced: time. The caller has one deadline for the whole
/// exchange, including further dials, and calls ``deadline()`` when it passes.
public struct ConnectExchange: Sendable {
    /// The caller's next action.
    public enum Action: Sendable, Equatable {
        /// Write these bytes to the proxy.
        case send(ByteBuffer)
        /// Use the tunnel. The rest of the buffer comes from the server.
        case established
        /// Close this connection and discard the rest of the buffer, dial the proxy again and write these bytes.
        case reconnectThenSend(ByteBuffer)
        /// Get a token from the system's GSSAPI for `HTTP@proxyhost` and pass it to ``ticket(_:)``. `input` holds the
        /// proxy's token; nil for the first one. Keep reading meanwhile.
        case fetchTicket(input: [UInt8]?)
        /// Close the connection: there is no tunnel.
        case fail(ConnectError)
    }

    /// Bytes of a 407's body that are discarded to keep the connection.
    package static let drainLimit = 65536
    /// The same limit if the scheme needs this very connection.
    package static let boundDrainLimit = 262_144
    /// Interim answers before the final one.
    package static let interimLimit = 8
    /// Bytes of a malformed answer that are shown.
    package static let startLimit = 64

    private enum State: Sendable {
        case idle
        case awaiting(Awaiting)
        case draining(BodyDrain, ProxyAnswer, next: Next)
        /// A token is being fetched. The connection is kept unless bytes arrive on it meanwhile.
        case awaitingTicket(ProxyAnswer, isKept: Bool)
        case readingPage(BodyDrain, ConnectError)
        case finished
    }

    /// The step after a 407.
    private enum Next: Sendable {
        case request(ByteBuffer)
        case ticket(input: [UInt8]?)
    }

    private struct Awaiting: Sendable {
        var parser = ResponseHeadParser()
        var start: [UInt8] = []
        var interimAnswers = 0
        var request: ByteBuffer
        /// Whether an earlier answer arrived on this connection, so that the proxy may have closed it legitimately
        /// since.
        var isReused: Bool
    }

    let target: String
    private let request: RequestHead
    private let plainRequest: ByteBuffer
    private let sendsAhead: Bool
    private var authentication: ProxyAuthentication
    private var state = State.idle
    private var noted = ProxyPassage()

    /// Creates an exchange that asks for `host:port`.
    ///
    /// - Parameters:
    ///   - host: a name, which the proxy resolves (R19), or an address; IPv6 with or without brackets.
    ///   - port: 1 to 65535.
    ///   - credentials: the credentials for a challenge.
    ///   - permitted: the schemes that may be used.
    ///   - seed: random bytes and the time for the schemes; fresh for each exchange.
    ///   - fields: additional fields. One named Host, User-Agent, Proxy-Connection or Proxy-Authorization replaces the
    ///     usual one.
    ///   - sendAhead: sends credentials without a challenge; only for a proxy where that worked before.
    /// - Throws: `unusableCredentials` or `unusableRequest` if the request cannot be sent (R16).
    public init(
        host: String,
        port: Int,
        credentials: ProxyCredentials? = nil,
        permitted: Set<ProxyScheme> = ProxyScheme.all,
        seed: AuthenticationSeed,
        fields: HeaderFields = HeaderFields(),
        userAgent: String? = nil,
        sendAhead: Bool = false
    ) throws(ConnectError) {
        var authenticators: [any ProxyAuthenticator] = []
        do throws(CredentialsError) {
            authenticators = try ProxyScheme.authenticators(for: credentials, permitted: permitted, seed: seed)
        } catch {
            throw ConnectError(.unusableCredentials(error), target: "\(host):\(port)".escapedForDisplay())
        }
        try self.init(
            host: host,
            port: port,
            authenticators: authenticators,
            hasCredentials: credentials != nil,
            fields: fields,
            userAgent: userAgent,
            sendAhead: sendAhead
        )
    }

    /// Creates an exchange with the caller's own authenticators, which serve one exchange each, in any order.
    ///
    /// - Throws: `unusableRequest` if the request cannot be sent.
    public init(
        host: String,
        port: Int,
        authenticators: [any ProxyAuthenticator],
        fields: HeaderFields = HeaderFields(),
        userAgent: String? = nil,
        sendAhead: Bool = false
    ) throws(ConnectError) {
        try self.init(
            host: host,
            port: port,
            authenticators: authenticators,
            hasCredentials: !authenticators.isEmpty,
            fields: fields,
            userAgent: userAgent,
            sendAhead: sendAhead
        )
    }

    private init(
        host: String,
        port: Int,
        authenticators: [any ProxyAuthenticator],
        hasCredentials: Bool,
        fields: HeaderFields,
        userAgent: String?,
        sendAhead: Bool
    ) throws(ConnectError) {
        let shown = "\(host):\(port)".escapedForDisplay()
        guard let name = HostName.normalized(host) ?? HostName.normalized("[\(host)]"), (1...65535).contains(port)
        else {
            throw ConnectError(.unusableRequest(HTTP1Error(.malformedTarget)), target: shown)
        }
        target = "\(ProxyURL.bracketed(name)):\(port)"
        do throws(HTTP1Error) {
            let head = try Self.request(target, fields, userAgent)
            var buffer = ByteBuffer()
            try head.serialize(into: &buffer)
            (request, plainRequest) = (head, buffer)
        } catch {
            throw ConnectError(.unusableRequest(error), target: shown)
        }
        sendsAhead = sendAhead
        authentication = ProxyAuthentication(
            authenticators,
            ProxyAuthenticationRequest(method: "CONNECT", target: target),
            hasCredentials: hasCredentials,
            fields: fields
        )
    }

    /// The scheme that was used, if any: to send ahead next time, and to warn about Basic in clear text.
    public var scheme: ProxyScheme? { authentication.scheme }

    /// What the exchange has shown so far, for a diagnosis.
    public var passage: ProxyPassage {
        var passage = noted
        passage.scheme = scheme
        return passage
    }

    /// Returns the first action after dialling the proxy.
    public mutating func start() -> Action {
        guard case .idle = state else { preconditionFailure("an exchange starts once") }
        let ahead = sendsAhead ? authentication.answerAhead().flatMap { request(with: $0) } : nil
        return send(ahead ?? plainRequest, reusing: false)
    }

    /// Consumes the proxy's bytes from the buffer.
    ///
    /// - Returns: the next action; nil if more bytes are needed or the exchange is over. Call again only after new
    ///   bytes have arrived.
    public mutating func receive(_ buffer: inout ByteBuffer) -> Action? {
        while true {
            switch state {
            case .idle, .finished:
                return nil
            case .awaiting(var awaiting):
                awaiting.start += buffer.readableBytesView.prefix(Self.startLimit - awaiting.start.count)
                state = .finished
                do throws(HTTP1Error) {
                    guard let head = try awaiting.parser.receive(&buffer) else {
                        state = .awaiting(awaiting)
                        return nil
                    }
                    if let action = handle(head, awaiting, &buffer) { return action }
                } catch {
                    let start = String(decoding: awaiting.start, as: UTF8.self).hiding(authentication.secrets)
                    return fail(.malformedAnswer(error, start: start.escapedForDisplay(limit: Self.startLimit)))
                }
            case .draining(var drain, let answer, let next):
                state = .finished
                do throws(HTTP1Error) {
                    guard try drain.receive(&buffer) else {
                        state = .draining(drain, answer, next: next)
                        return nil
                    }
                } catch {
                    return reconnect(next, answer)
                }
                // Bytes behind the body cannot answer a request that was not sent yet.
                let isKept = buffer.readableBytes == 0
                switch next {
                case .request(let request): return isKept ? send(request, reusing: true) : reconnect(request, answer)
                case .ticket(let input): return fetch(input, answer, isKept: isKept)
                }
            case .awaitingTicket(let answer, _):
                buffer.clear()
                state = .awaitingTicket(answer, isKept: false)
                return nil
            case .readingPage(var drain, let error):
                let isComplete = (try? drain.receive(&buffer)) ?? true
                guard isComplete || drain.collected.readableBytes >= BodyDrain.collectedLimit else {
                    state = .readingPage(drain, error)
                    return nil
                }
                return fail(error, page: drain)
            }
        }
    }

    /// Reports that the proxy closed or reset the connection. Pass earlier bytes first.
    ///
    /// - Returns: the next action; nil if the exchange is over and the connection belongs to the caller.
    public mutating func connectionClosed() -> Action? {
        switch state {
        case .finished:
            return nil
        case .idle:
            return fail(.closedWithoutAnswer)
        case .awaiting(let awaiting):
            guard awaiting.start.isEmpty else { return fail(.closedWithinAnswer) }
            // A proxy may close a connection between two answers. It is then asked once more on another one.
            let mayReconnect = awaiting.isReused && !authentication.isBoundToConnection
            return mayReconnect ? reconnect(awaiting.request, nil) : fail(.closedWithoutAnswer)
        case .draining(_, let answer, let next):
            return reconnect(next, answer)
        case .awaitingTicket(let answer, _):
            state = .awaitingTicket(answer, isKept: false)
            return nil
        case .readingPage(let drain, let error):
            return fail(error, page: drain)
        }
    }

    /// Passes the requested token, or the reason why there is none.
    ///
    /// - Returns: the next action; nil if no token was requested, as after the deadline.
    public mutating func ticket(_ ticket: Result<[UInt8], TicketFailure>) -> Action? {
        guard case .awaitingTicket(let answer, let isKept) = state else { return nil }
        state = .finished
        switch authentication.respond(with: ticket) {
        case .answer(let scheme, let value):
            guard let next = request(with: value) else { return fail(.malformedChallenge(scheme), answer) }
            let isUsable = isKept && !authentication.needsFreshConnection
            return isUsable ? send(next, reusing: true) : reconnect(next, answer)
        case .ticket(let input):
            return fetch(input, answer, isKept: isKept)
        case .fail(let kind):
            return fail(kind, answer)
        }
    }

    /// Ends the exchange because its time is over.
    ///
    /// - Returns: an error with what is known by then. A status that has arrived matters more than a late page.
    public mutating func deadline() -> ConnectError {
        defer { state = .finished }
        switch state {
        case .idle, .finished:
            return error(.silence)
        case .awaiting(let awaiting):
            return error(awaiting.start.isEmpty ? .silence : .unfinishedAnswer)
        case .draining(_, let answer, _):
            return error(.unfinishedAnswer, answer)
        case .awaitingTicket(let answer, _):
            return error(.noTicket(.late), answer)
        case .readingPage(let drain, let error):
            return withPage(error, drain)
        }
    }

    /// Returns the next action; nil if more must be read first.
    private mutating func handle(
        _ head: ResponseHead,
        _ awaiting: Awaiting,
        _ buffer: inout ByteBuffer
    ) -> Action? {
        switch head.status {
        case 100, 102...199:
            var awaiting = awaiting
            guard awaiting.interimAnswers < Self.interimLimit else { return fail(.tooManyInterimAnswers) }
            awaiting.interimAnswers += 1
            awaiting.start = []
            state = .awaiting(awaiting)
            return nil
        case 200...299:
            state = .finished
            note(head)
            return .established
        case 407:
            note(head)
            switch authentication.respond(to: head) {
            case .answer(let scheme, let value):
                guard let next = request(with: value) else { return failAfterPage(.malformedChallenge(scheme), head) }
                return answer(head, .request(next))
            case .ticket(let input):
                return answer(head, .ticket(input: input))
            case .fail(let kind):
                return failAfterPage(kind, head)
            }
        case 401 where authentication.scheme != nil:
            // tinyproxy asks with 407 and refuses with 401.
            return failAfterPage(authentication.scheme.map { .credentialsRefused($0) } ?? .unexpectedStatus, head)
        case 403:
            return failAfterPage(.refusedByPolicy, head)
        case 500...599 where Self.tellsOfPolicy(head.reason):
            return failAfterPage(.refusedByPolicy, head)
        default:
            return failAfterPage(.unexpectedStatus, head)
        }
    }

    private mutating func note(_ head: ResponseHead) {
        let answer = ProxyAnswer(head, hiding: authentication.secrets)
        if head.status == 407 {
            if noted.offeredSchemes.isEmpty { noted.offeredSchemes = answer.offeredSchemes }
        } else {
            noted.answer = answer
        }
        noted.date = head.fields.first("Date").map { $0.escapedForDisplay(limit: 64) } ?? noted.date
    }

    /// Returns whether the reason phrase forbids the port, as Microsoft's proxies do with 502.
    private static func tellsOfPolicy(_ reason: String) -> Bool {
        let reason = reason.lowercased()
        return ["not allowed", "denied", "forbidden", "blocked"].contains { reason.contains($0) }
    }

    /// Sends the next leg on this connection after the 407's body, or on another connection.
    private mutating func answer(_ head: ResponseHead, _ next: Next) -> Action? {
        let answer = ProxyAnswer(head, hiding: authentication.secrets)
        let isBound = authentication.isBoundToConnection
        let limit = isBound ? Self.boundDrainLimit : Self.drainLimit
        guard !authentication.needsFreshConnection, let framed = head.framedForReuse(isBound: isBound),
            let drain = try? BodyDrain(response: framed, limit: limit),
            !drain.endsWithConnection, drain.declaredLength ?? 0 <= limit
        else { return reconnect(next, answer) }
        state = .draining(drain, answer, next: next)
        return nil
    }

    private mutating func send(_ request: ByteBuffer, reusing: Bool) -> Action {
        noted.requests += 1
        state = .awaiting(Awaiting(request: request, isReused: reusing))
        return .send(request)
    }

    private mutating func fetch(_ input: [UInt8]?, _ answer: ProxyAnswer, isKept: Bool) -> Action {
        state = .awaitingTicket(answer, isKept: isKept)
        return .fetchTicket(input: input)
    }

    private mutating func reconnect(_ next: Next, _ answer: ProxyAnswer) -> Action {
        switch next {
        case .request(let request): reconnect(request, answer)
        case .ticket(let input): fetch(input, answer, isKept: false)
        }
    }

    private mutating func reconnect(_ request: ByteBuffer, _ answer: ProxyAnswer?) -> Action {
        if authentication.isBoundToConnection, let scheme = authentication.scheme {
            return fail(.connectionNotKept(scheme), answer)
        }
        noted.requests += 1
        state = .awaiting(Awaiting(request: request, isReused: false))
        return .reconnectThenSend(request)
    }

    /// Fails at once if no page can be read, otherwise after its beginning.
    private mutating func failAfterPage(_ kind: ConnectError.Kind, _ head: ResponseHead) -> Action? {
        let answer = ProxyAnswer(head, hiding: authentication.secrets)
        guard PageExcerpt.isReadable(head.fields),
            let drain = try? BodyDrain(response: head, limit: 2 * BodyDrain.collectedLimit)
        else { return fail(kind, answer) }
        state = .readingPage(drain, error(kind, answer))
        return nil
    }

    private mutating func fail(_ kind: ConnectError.Kind, _ answer: ProxyAnswer? = nil) -> Action {
        state = .finished
        return .fail(error(kind, answer))
    }

    private mutating func fail(_ error: ConnectError, page: BodyDrain) -> Action {
        state = .finished
        return .fail(withPage(error, page))
    }

    /// Returns the request with the authenticator's value; nil if that is not a field value. A scheme that repeats
    /// parts of the challenge could produce one that is not. Credentials among the caller's fields are kept.
    private func request(with authorization: String) -> ByteBuffer? {
        guard request.fields.first("Proxy-Authorization") == nil else { return plainRequest }
        var head = request
        var buffer = ByteBuffer()
        do throws(HTTP1Error) {
            try head.fields.append("Proxy-Authorization", authorization)
            try head.serialize(into: &buffer)
            return buffer
        } catch {
            return nil
        }
    }

    private func withPage(_ error: ConnectError, _ page: BodyDrain) -> ConnectError {
        var error = error
        error.answer?.page = PageExcerpt.line(of: page.collected.readableBytesView, hiding: authentication.secrets)
        return error
    }

    private func error(_ kind: ConnectError.Kind, _ answer: ProxyAnswer? = nil) -> ConnectError {
        var error = ConnectError(kind, target: target, answer: answer)
        error.isPasswordAtStake = authentication.isPasswordAtStake
        // The answer was computed, but no connection carried it.
        if case .connectionNotKept = kind { error.isPasswordAtStake = false }
        // Only 407 judges a password; any other answer reports another fault.
        if let answer, answer.status != 407 { error.isPasswordAtStake = false }
        if case .malformedAnswer = kind { error.isPasswordAtStake = false }
        error.hasChallenged = authentication.hasBegun
        return error
    }
}
