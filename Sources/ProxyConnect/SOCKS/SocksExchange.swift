import HTTP1
import NIOCore
import NetworkAddress

/// The exchange with a SOCKS version 5 proxy (RFC 1928) that opens a tunnel, with user and password (RFC 1929) if there
/// are credentials.
///
/// ```
///          start              method 2                    status 0             reply 0
///   idle ────────▶ greeting ───────────▶ authentication ───────────▶ request ───────────▶ finished (established)
///                     │     method 0                                    ▲
///                     └─────────────────────────────────────────────────┘
///   from each of them: any other answer, the connection's end, the deadline ───▶ finished (failed)
/// ```
///
/// - A name goes to the proxy as a name, for `socks5://` and `socks5h://` alike. It is never resolved here (R19).
/// - The offer is "no authentication", and also user and password if there are credentials. The proxy chooses. The
///   password is sent only if the proxy asks for it, in clear text as RFC 1929 defines.
/// - The server's first bytes behind the last reply stay in the caller's buffer (R6).
/// - At most 262 bytes of an answer are kept: the reply with the longest address.
///
/// The exchange is pure: bytes go in, actions come out. Each byte is parsed alone, so it does not matter how the
/// network splits them.
///
/// Not enforced: time. The caller has one deadline for the whole exchange and calls ``deadline()`` when it passes. An
/// answer may also precede its request, which is harmless.
public struct SocksExchange: Sendable {
    /// The caller's next action.
    public enum Action: Sendable, Equatable {
        /// Write these bytes to the proxy.
        case send(ByteBuffer)
        /// Use the tunnel. The rest of the buffer comes from the server.
        case established
        /// Close the connection: there is no tunnel.
        case fail(SocksError)
    }

    /// Bytes of an answer in another protocol that are shown.
    static let startLimit = ConnectExchange.startLimit

    private enum State: Sendable {
        case idle
        case awaiting(SocksAnswer)
        case finished
    }

    let target: String
    private let messages: SocksMessages
    private var state = State.idle

    /// Creates an exchange that asks for `host:port`.
    ///
    /// - Parameters:
    ///   - host: a name, which the proxy resolves (R19), or an address; IPv6 with or without brackets.
    ///   - port: 1 to 65535.
    ///   - credentials: user and password, sent only on request. An empty password is sent with length 0, although RFC
    ///     1929, section 2, begins at 1, since there is no other encoding.
    /// - Throws: `unusableHost`, `unusablePort`, `emptyUser`, `longUser` or `longPassword` if the request cannot be
    ///   sent (R16).
    public init(host: String, port: Int, credentials: ProxyCredentials?) throws(SocksError) {
        let shown = "\(host):\(port)".escapedForDisplay()
        guard let name = HostName.normalized(host) ?? HostName.normalized("[\(host)]") else {
            throw SocksError(.unusableHost, target: shown)
        }
        target = "\(ProxyURL.bracketed(name)):\(port)"
        messages = try SocksMessages(host: name, port: port, credentials: credentials, shown: shown)
    }

    /// Returns the first action after dialling the proxy.
    public mutating func start() -> Action {
        guard case .idle = state else { preconditionFailure("an exchange starts once") }
        return send(messages.greeting, .greeting)
    }

    /// Consumes the proxy's SOCKS bytes from the buffer and leaves those behind them. Of a refusing reply only the
    /// beginning is consumed, since the connection is useless afterwards.
    ///
    /// - Returns: the next action; nil if more bytes are needed or the exchange is over. Call again only after new
    ///   bytes have arrived, or if bytes are left after a `send`.
    public mutating func receive(_ buffer: inout ByteBuffer) -> Action? {
        guard case .awaiting(var answer) = state else { return nil }
        while let byte = buffer.readInteger(as: UInt8.self) {
            guard let verdict = answer.append(byte) else { continue }
            switch verdict {
            case .method(let method): return answerChoice(of: method)
            case .status(0): return send(messages.request, .request)
            case .status(let status): return fail(.credentialsRefused(status: status))
            case .reply(.succeeded):
                state = .finished
                return .established
            case .reply(let reply): return fail(.refused(reply))
            case .malformed(let malformation):
                // Only an answer that arrived before any secret was sent is useful and safe to show.
                guard answer.step == .greeting else { return fail(.malformedAnswer(malformation)) }
                let start = answer.bytes + buffer.readableBytesView.prefix(Self.startLimit - answer.bytes.count)
                return fail(.malformedAnswer(malformation), start: start)
            }
        }
        state = .awaiting(answer)
        return nil
    }

    /// Reports that the proxy closed or reset the connection. Pass earlier bytes first.
    ///
    /// - Returns: the next action; nil if the exchange is over and the connection belongs to the caller.
    public mutating func connectionClosed() -> Action? {
        switch state {
        case .idle: fail(.closed(.greeting))
        case .awaiting(let answer): fail(.closed(answer.step))
        case .finished: nil
        }
    }

    /// Ends the exchange because its time is over and returns an error with the outstanding step.
    public mutating func deadline() -> SocksError {
        defer { state = .finished }
        guard case .awaiting(let answer) = state else { return SocksError(.silence(.greeting), target: target) }
        return SocksError(.silence(answer.step), target: target)
    }

    /// Continues with the proxy's choice of a method (RFC 1928, section 3).
    private mutating func answerChoice(of method: UInt8) -> Action {
        switch (method, messages.authentication) {
        case (SocksMethod.none, _): send(messages.request, .request)
        case (SocksMethod.password, .some(let message)): send(message, .authentication)
        case (SocksMethod.noneAcceptable, .none): fail(.credentialsNeeded)
        case (SocksMethod.noneAcceptable, .some): fail(.noAcceptableMethod)
        case (_, _): fail(.malformedAnswer(.methodNotOffered(method)))
        }
    }

    private mutating func send(_ message: ByteBuffer, _ step: SocksStep) -> Action {
        state = .awaiting(SocksAnswer(step))
        return .send(message)
    }

    private mutating func fail(_ kind: SocksError.Kind, start: [UInt8] = []) -> Action {
        state = .finished
        let text = String(decoding: start, as: UTF8.self).escapedForDisplay(limit: Self.startLimit)
        return .fail(SocksError(kind, target: target, start: text))
    }
}

extension SocksExchange: CustomStringConvertible, CustomReflectable {
    /// The target without credentials.
    public var description: String { "SOCKS 5 CONNECT \(target)" }

    /// Hides the sent bytes, which would show the password.
    public var customMirror: Mirror { Mirror(self, children: ["target": target]) }
}

extension SocksExchange.Action: CustomStringConvertible, CustomReflectable {
    /// The action with the number of bytes in place of the bytes, which may contain a password.
    public var description: String {
        switch self {
        case .send(let bytes): "send \(bytes.readableBytes) bytes"
        case .established: "established"
        case .fail(let error): "fail: \(error)"
        }
    }

    /// Hides everything but the description.
    public var customMirror: Mirror { Mirror(self, children: ["action": description]) }
}
