import HTTP1
import NIOCore
import ProxyConnect
import Testing

/// An action of an exchange, with its bytes as text.
enum Event: Equatable, Sendable {
    case sent(String)
    case reconnected(String)
    case established(leftover: String)
    case wantsTicket([UInt8]?)
    case failed(ConnectError.Kind)

    init(_ action: ConnectExchange.Action, leftover: String) {
        switch action {
        case .send(let bytes): self = .sent(String(buffer: bytes))
        case .reconnectThenSend(let bytes): self = .reconnected(String(buffer: bytes))
        case .established: self = .established(leftover: leftover)
        case .fetchTicket(let input): self = .wantsTicket(input)
        case .fail(let error): self = .failed(error.kind)
        }
    }
}

/// One input to an exchange, usually from the proxy.
enum Input: Sendable {
    case says(String)
    case closes
    /// The result of the system's GSSAPI, not of the proxy.
    case ticket(Result<[UInt8], TicketFailure>)
}

/// Gives inputs to an exchange and records its actions.
struct Script {
    var exchange: ConnectExchange
    var events: [Event] = []
    var lastError: ConnectError?

    init(_ exchange: ConnectExchange) {
        self.exchange = exchange
        let action = self.exchange.start()
        events.append(Event(action, leftover: ""))
    }

    /// Gives the inputs to the exchange; `cut` splits the texts among them.
    mutating func play(_ inputs: [Input], cut: ([UInt8]) -> [[UInt8]] = { [$0] }) {
        for input in inputs {
            switch input {
            case .closes:
                record(exchange.connectionClosed(), leftover: "")
            case .ticket(let ticket):
                record(exchange.ticket(ticket), leftover: "")
            case .says(let text):
                var chunks = cut(Array(text.utf8))[...]
                while let chunk = chunks.popFirst() {
                    var buffer = ByteBuffer(bytes: chunk)
                    let action = exchange.receive(&buffer)
                    let rest = String(buffer: buffer) + chunks.map { String(decoding: $0, as: UTF8.self) }.joined()
                    record(action, leftover: rest)
                    if action != nil { break }
                }
            }
        }
    }

    private mutating func record(_ action: ConnectExchange.Action?, leftover: String) {
        guard let action else { return }
        if case .fail(let error) = action { lastError = error }
        events.append(Event(action, leftover: leftover))
    }
}

func makeExchange(
    host: String = "tunnel.example.com",
    port: Int = 443,
    user: String? = "user",
    password: String = "secret",
    permitted: Set<ProxyScheme> = ProxyScheme.all,
    sendAhead: Bool = false
) throws -> ConnectExchange {
    try ConnectExchange(
        host: host,
        port: port,
        credentials: user.map { user in try ProxyCredentials(user: user, password: password) },
        permitted: permitted,
        seed: AuthenticationSeed(random: Array(repeating: 0xAA, count: 24), unixTime: 1_700_000_000),
        userAgent: "culvert/1",
        sendAhead: sendAhead
    )
}

let plainRequest = """
    CONNECT tunnel.example.com:443 HTTP/1.1\r
    Host: tunnel.example.com:443\r
    User-Agent: culvert/1\r
    Proxy-Connection: Keep-Alive\r
    \r

    """

func authorized(_ value: String = "Basic dXNlcjpzZWNyZXQ=") -> String {
    String(plainRequest.dropLast()) + "Proxy-Authorization: \(value)\r\n\r\n"
}

func answer(_ status: String, _ fields: [String] = [], body: String = "") -> String {
    "HTTP/1.1 \(status)\r\n" + fields.map { $0 + "\r\n" }.joined() + "\r\n" + body
}
