import HTTP1
import NIOCore
import NetworkAddress

/// The exchange with a SOCKS version 5 proxy (RFC 1928) that opens a tunnel, with user and password (RFC 1929) where
/// there are any, from the greeting to the reply.
///
/// ```
///          start              method 2                    status 0             reply 0
///   idle ────────▶ greeting ───────────▶ authentication ───────────▶ request ───────────▶ finished (established)
///                     │     method 0                                    ▲
///                     └─────────────────────────────────────────────────┘
///   from each of them: any other answer, the connection's end, the deadline ───▶ finished (failed)
/// ```
///
/// - A name goes to the proxy as a name, for `socks5://` and `socks5h://` alike: it is never resolved here (R19).
/// - Offered are "no authentication", and beside it user and password where there are credentials. The proxy chooses;
///   the password is sent only to one that asks for it, and then in the clear, as RFC 1929 has it.
/// - What the server sent with the proxy's last reply stays in the caller's buffer (R6).
/// - At most 262 bytes of an answer are kept: the reply with the longest address.
///
/// Pure: bytes go in, actions come out, and each byte is judged alone, so that it does not matter how the network cut
/// them. Not enforced: time, since the caller has one deadline for the whole exchange and calls `deadline` when it
/// passes; and that an answer comes after its question, since a proxy that answers ahead harms nobody.
public struct SocksExchange: Sendable {
    /// What the caller does next.
    public enum Action: Sendable, Equatable {
        /// Write these bytes to the proxy.
        case send(ByteBuffer)
        /// The tunnel is open. What is left in the buffer comes from the server.
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

    /// An exchange that asks for `host:port`.
    ///
    /// - Parameters:
    ///   - host: a name, which the proxy resolves (R19), or an address; IPv6 with or without brackets.
    ///   - port: 1 to 65535.
    ///   - credentials: what is sent to a proxy that asks for user and password. An empty password is sent as one of
    ///     length 0, although RFC 1929 section 2 begins at 1: there is no other way to write it.
    /// - Throws: `unusableHost`, `unusablePort`, `emptyUser`, `longUser` or `longPassword` when what was asked for
    ///   cannot be sent (R16).
    public init(host: String, port: Int, credentials: ProxyCredentials?) throws(SocksError) {
        let shown = "\(host):\(port)".escapedForDisplay()
        guard let name = HostName.normalized(host) ?? HostName.normalized("[\(host)]") else {
            throw SocksError(.unusableHost, target: shown)
        }
        target = "\(ProxyURL.bracketed(name)):\(port)"
        messages = try SocksMessages(host: name, port: port, credentials: credentials, shown: shown)
    }

    /// The first action, once the proxy has been dialled.
    public mutating func start() -> Action {
        guard case .idle = state else { preconditionFailure("an exchange starts once") }
        return send(messages.greeting, .greeting)
    }

    /// Takes bytes from the proxy off the buffer: those that belong to SOCKS, and none behind them. Of a reply that
    /// refuses, only the beginning, since the connection is of no use after it.
    ///
    /// - Returns: what to do, or nil when more bytes are needed or the exchange is over. Call again only when new bytes
    ///   have come, or when some are left behind a `send`.
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
                // Only what came before any secret of ours was sent is worth showing, and safe to show.
                guard answer.step == .greeting else { return fail(.malformedAnswer(malformation)) }
                let start = answer.bytes + buffer.readableBytesView.prefix(Self.startLimit - answer.bytes.count)
                return fail(.malformedAnswer(malformation), start: start)
            }
        }
        state = .awaiting(answer)
        return nil
    }

    /// Says that the proxy has closed its side, or reset the connection. Bytes that came before were handed over then.
    ///
    /// - Returns: what to do, or nil when the exchange is over: the connection is then the caller's own matter.
    public mutating func connectionClosed() -> Action? {
        switch state {
        case .idle: fail(.closed(.greeting))
        case .awaiting(let answer): fail(.closed(answer.step))
        case .finished: nil
        }
    }

    /// Ends the exchange because its time is over. The error tells what the proxy was asked last.
    public mutating func deadline() -> SocksError {
        defer { state = .finished }
        guard case .awaiting(let answer) = state else { return SocksError(.silence(.greeting), target: target) }
        return SocksError(.silence(answer.step), target: target)
    }

    /// RFC 1928 section 3.
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
    /// What is asked for, and nothing of the credentials.
    public var description: String { "SOCKS 5 CONNECT \(target)" }

    /// Shows nothing but the description: what is sent would show the password.
    public var customMirror: Mirror { Mirror(self, children: ["target": target]) }
}

extension SocksExchange.Action: CustomStringConvertible, CustomReflectable {
    /// The action, with the number of bytes in place of the bytes, which may hold a password.
    public var description: String {
        switch self {
        case .send(let bytes): "send \(bytes.readableBytes) bytes"
        case .established: "established"
        case .fail(let error): "fail: \(error)"
        }
    }

    /// Shows nothing but the description.
    public var customMirror: Mirror { Mirror(self, children: ["action": description]) }
}
