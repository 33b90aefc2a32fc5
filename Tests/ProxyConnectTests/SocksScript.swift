import NIOCore
import ProxyConnect

/// An action of a SOCKS exchange.
enum SocksEvent: Equatable, Sendable {
    case sent([UInt8])
    case established(leftover: [UInt8])
    case failed(SocksError.Kind)
}

/// Gives the proxy's bytes to an exchange, in one buffer as a channel handler does, and records its actions.
struct SocksScript {
    var exchange: SocksExchange
    var events: [SocksEvent] = []
    var lastError: SocksError?
    private var pending = ByteBuffer()

    init(_ exchange: SocksExchange) {
        self.exchange = exchange
        let action = self.exchange.start()
        record(action)
    }

    mutating func say(_ chunks: [[UInt8]]) {
        for chunk in chunks {
            pending.writeBytes(chunk)
            while let action = exchange.receive(&pending) { record(action) }
        }
        if case .established = events.last {
            events[events.count - 1] = .established(leftover: Array(pending.readableBytesView))
        }
    }

    mutating func close() {
        if let action = exchange.connectionClosed() { record(action) }
    }

    private mutating func record(_ action: SocksExchange.Action) {
        switch action {
        case .send(let bytes):
            events.append(.sent(Array(bytes.readableBytesView)))
        case .established:
            events.append(.established(leftover: []))
        case .fail(let error):
            lastError = error
            events.append(.failed(error.kind))
        }
    }
}

func makeSocksExchange(
    host: String = "tunnel.example.com",
    port: Int = 443,
    user: String? = "user",
    password: String = "secret"
) throws -> SocksExchange {
    try SocksExchange(
        host: host,
        port: port,
        credentials: user.map { user in try ProxyCredentials(user: user, password: password) }
    )
}

/// The bytes of hexadecimal numbers, which blanks separate.
func octets(_ text: String) -> [UInt8] {
    text.split(separator: " ").compactMap { UInt8($0, radix: 16) }
}
