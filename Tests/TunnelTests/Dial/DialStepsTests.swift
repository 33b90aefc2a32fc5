import HTTP1
import NIOCore
import ProxyConnect
import TestSupport
import Testing
import WebSocket

@testable import TunnelClient

/// Rows of events and bytes with the expected actions. Each row runs with the bytes whole, byte by byte and at every
/// split.
@Suite("The steps of a dial")
struct DialStepsTests {
    /// The configuration of a dial.
    struct Route: Sendable {
        var isSecure = false
        var proxy: ProxyURL.Scheme?
        var schemes: Set<ProxyScheme> = [.basic]
        var hasCredentials = true
        var upgrade: Result<ClientUpgrade, UpgradeFailure>?
    }

    enum Input: Sendable {
        case event(DialEvent)
        case bytes(String)
    }

    struct Row: Sendable, CustomTestStringConvertible {
        let name: String
        let route: Route
        let steps: [(input: Input, actions: [String])]

        var testDescription: String { name }

        init(_ name: String, _ route: Route = Route(), _ steps: (Input, [String])...) {
            (self.name, self.route) = (name, route)
            self.steps = steps.map { (input: $0.0, actions: $0.1) }
        }
    }

    // MARK: Rows

    private static let connected = Input.event(.connected)
    private static let secured = Input.event(.secured)
    private static let closed = Input.event(.closed)
    private static let timedOut = Input.event(.timedOut)
    private static let alert = Input.event(.tlsBroke(.other("alert")))

    private static let get = ["timer", "send GET /tunnel"]
    private static let connect = ["timer", "send CONNECT tunnel.example:443"]
    private static let withPassword = ["readable password", "send CONNECT tunnel.example:443 with Basic"]
    private static let switching =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        + "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: culvert-tunnel.v1\r\n\r\n"
    private static let ok = "HTTP/1.1 200 OK\r\n\r\n"
    private static let challenge =
        "HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 3\r\n\r\npwd"
    private static let closingChallenge =
        "HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm=\"x\"\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    private static let negotiate =
        "HTTP/1.1 407 Who\r\nProxy-Authenticate: Negotiate\r\nContent-Length: 0\r\n\r\n"
    private static let http = Route(proxy: .http)
    private static let kerberos = Route(proxy: .http, schemes: [.negotiate], hasCredentials: false)
    private static let socks = Route(proxy: .socks5)

    static let ways: [Row] = [
        Row(
            "ws without a proxy: the upgrade at once, and bytes after the 101 belong to the WebSocket",
            Route(),
            (connected, get),
            (.bytes(switching + "frames"), ["upgraded frames"])
        ),
        Row(
            "wss without a proxy: TLS, then the upgrade",
            Route(isSecure: true),
            (connected, ["timer", "TLS server"]),
            (secured, get),
            (.bytes(switching), ["upgraded"])
        ),
        Row(
            "an HTTP proxy: CONNECT, and bytes after the 200 belong to the server",
            http,
            (connected, connect),
            (.bytes(ok), ["established none"] + get),
            (.bytes(switching), ["upgraded"])
        ),
        Row(
            "an https proxy and wss: two handshakes, and bytes after the 200 belong to the second one",
            Route(isSecure: true, proxy: .https),
            (connected, ["timer", "TLS proxy"]),
            (secured, connect),
            (.bytes(ok + "hello"), ["established none", "timer", "TLS server hello"]),
            (secured, get),
            (.bytes(switching), ["upgraded"])
        ),
        Row(
            "a challenge on a kept connection is answered on it",
            http,
            (connected, connect),
            (.bytes(challenge), withPassword),
            (.bytes(ok), ["established basic"] + get)
        ),
        Row(
            "a challenge on a closing connection is answered on another one, within the same timeout",
            http,
            (connected, connect),
            (.bytes(closingChallenge), ["readable password", "redial"]),
            (closed, []),
            (connected, ["timer of the exchange"] + withPassword),
            (.bytes(ok), ["established basic"] + get)
        ),
        Row(
            "the other connection to an https proxy begins with TLS, which has its own timeout",
            Route(proxy: .https),
            (connected, ["timer", "TLS proxy"]),
            (secured, connect),
            (.bytes(closingChallenge), ["readable password", "redial"]),
            (connected, ["timer", "TLS proxy"]),
            (secured, ["timer of the exchange"] + withPassword)
        ),
        Row(
            "a ticket is fetched, and sent on the waiting connection",
            kerberos,
            (connected, connect),
            (.bytes(negotiate), ["fetch a ticket"]),
            (.event(.ticket(.success([1, 2, 3]))), ["send CONNECT tunnel.example:443 with Negotiate"]),
            (.bytes(ok), ["established negotiate"] + get)
        ),
        Row(
            "a connection that ends while a ticket is fetched is replaced after the fetch",
            kerberos,
            (connected, connect),
            (.bytes(negotiate), ["fetch a ticket"]),
            (closed, []),
            (.event(.ticket(.success([1, 2, 3]))), ["redial"]),
            (connected, ["timer of the exchange", "send CONNECT tunnel.example:443 with Negotiate"])
        ),
        Row(
            "SOCKS with a password",
            socks,
            (connected, ["timer", "send 05020002"]),
            (.bytes("\u{05}\u{02}"), ["send 0105616c69636506736563726574"]),
            (.bytes("\u{01}\u{00}"), ["send 050100030e74756e6e656c2e6578616d706c6501bb"]),
            (.bytes("\u{05}\u{00}\u{00}\u{01}\u{7f}\u{00}\u{00}\u{01}\u{00}\u{50}"), ["established none"] + get),
            (.bytes(switching + "x"), ["upgraded x"])
        ),
        Row(
            "early answers of a SOCKS proxy are processed after each request",
            socks,
            (connected, ["timer", "send 05020002"]),
            (
                .bytes("\u{05}\u{02}\u{01}\u{00}\u{05}\u{00}\u{00}\u{01}\u{7f}\u{00}\u{00}\u{01}\u{00}\u{50}"),
                ["send 0105616c69636506736563726574", "send 050100030e74756e6e656c2e6578616d706c6501bb"]
                    + ["established none"] + get
            )
        ),
        Row(
            "interim answers before the 101 are skipped, up to the limit",
            Route(),
            (connected, get),
            (.bytes(String(repeating: "HTTP/1.1 103 Hints\r\n\r\n", count: 8) + switching), ["upgraded"])
        ),
    ]

    static let failures: [Row] = [
        Row("no action follows the end of an unused connection", Route(), (closed, []), (timedOut, [])),
        Row(
            "an error of the socket closes the connection, and its end is the failure",
            Route(),
            (connected, get),
            (.event(.socketFailed), ["close"]),
            (closed, ["fail upgrade: closed"]),
            (.event(.socketFailed), [])
        ),
        Row(
            "TLS with the proxy: the end",
            Route(proxy: .https),
            (connected, ["timer", "TLS proxy"]),
            (closed, ["fail TLS proxy: closed"]),
            (timedOut, [])
        ),
        Row(
            "TLS with the proxy: the timeout",
            Route(proxy: .https),
            (connected, ["timer", "TLS proxy"]),
            (timedOut, ["fail TLS proxy: silent"]),
            (closed, [])
        ),
        Row(
            "TLS with the server: an alert in the handshake",
            Route(isSecure: true),
            (connected, ["timer", "TLS server"]),
            (alert, ["fail TLS server: other(\"alert\")"])
        ),
        Row(
            "TLS with the server: a handshake that fails",
            Route(isSecure: true),
            (connected, ["timer", "TLS server"]),
            (.event(.tlsFailed(.unusable(nil))), ["fail TLS server: unusable(nil)"])
        ),
        Row(
            "TLS with the server: the timeout",
            Route(isSecure: true),
            (connected, ["timer", "TLS server"]),
            (timedOut, ["fail TLS server: silent"])
        ),
        Row(
            "an alert during CONNECT is from the proxy",
            Route(isSecure: true, proxy: .https),
            (connected, ["timer", "TLS proxy"]),
            (secured, connect),
            (alert, ["fail TLS proxy: other(\"alert\")"])
        ),
        Row(
            "an alert during the upgrade is from the server",
            Route(isSecure: true),
            (connected, ["timer", "TLS server"]),
            (secured, get),
            (alert, ["fail TLS server: other(\"alert\")"])
        ),
        Row(
            "an alert during an upgrade without TLS is from the proxy",
            Route(proxy: .https),
            (connected, ["timer", "TLS proxy"]),
            (secured, connect),
            (.bytes(ok), ["established none"] + get),
            (alert, ["fail TLS proxy: other(\"alert\")"])
        ),
        Row(
            "another error of TLS after the handshake closes the connection",
            Route(isSecure: true),
            (connected, ["timer", "TLS server"]),
            (secured, get),
            (.event(.tlsFailed(.closed)), ["close"])
        ),
        Row(
            "CONNECT: the end without an answer",
            http,
            (connected, connect),
            (closed, ["fail CONNECT: closedWithoutAnswer"])
        ),
        Row("CONNECT: the timeout", http, (connected, connect), (timedOut, ["fail CONNECT: silence"])),
        Row(
            "CONNECT: a late ticket",
            kerberos,
            (connected, connect),
            (.bytes(negotiate), ["fetch a ticket"]),
            (timedOut, ["fail CONNECT: noTicket"]),
            (.event(.ticket(.success([1]))), [])
        ),
        Row(
            "CONNECT: a refusal with the beginning of its body",
            http,
            (connected, connect),
            (.bytes("HTTP/1.1 403 No\r\nContent-Length: 4\r\n\r\nbusy"), ["fail CONNECT: refusedByPolicy"])
        ),
        Row("SOCKS: the end", socks, (connected, ["timer", "send 05020002"]), (closed, ["fail SOCKS: closed"])),
        Row("SOCKS: the timeout", socks, (connected, ["timer", "send 05020002"]), (timedOut, ["fail SOCKS: silence"])),
        Row("upgrade: the end", Route(), (connected, get), (closed, ["fail upgrade: closed"])),
        Row("upgrade: the timeout", Route(), (connected, get), (timedOut, ["fail upgrade: silent"])),
        Row(
            "upgrade: bytes that are not HTTP",
            Route(),
            (connected, get),
            (.bytes("SSH-2.0-OpenSSH\r\n"), ["fail upgrade: notHTTP"])
        ),
        Row(
            "upgrade: too many interim answers",
            Route(),
            (connected, get),
            (
                .bytes(String(repeating: "HTTP/1.1 103 Hints\r\n\r\n", count: 9)),
                ["fail upgrade: endlessInterimAnswers"]
            )
        ),
        Row(
            "upgrade: a 101 for another subprotocol",
            Route(),
            (connected, get),
            (
                .bytes(switching.replacing("Sec-WebSocket-Protocol: culvert-tunnel.v1\r\n", with: "")),
                ["fail upgrade: otherSubprotocol"]
            )
        ),
        Row(
            "upgrade: another status with a complete body",
            Route(),
            (connected, get),
            (.bytes("HTTP/1.1 404 No\r\nContent-Length: 4\r\n\r\nlost"), ["fail upgrade: 404 lost"])
        ),
        Row(
            "upgrade: another status without a body",
            Route(),
            (connected, get),
            (.bytes("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"), ["fail upgrade: 404"])
        ),
        Row(
            "upgrade: another status with a truncated body",
            Route(),
            (connected, get),
            (.bytes("HTTP/1.1 404 No\r\nContent-Length: 9\r\n\r\nlost"), []),
            (closed, ["fail upgrade: 404 lost"])
        ),
        Row(
            "upgrade: another status with a body beyond the timeout; an alert meanwhile closes the connection",
            Route(isSecure: true),
            (connected, ["timer", "TLS server"]),
            (secured, get),
            (.bytes("HTTP/1.1 404 No\r\nContent-Length: 9\r\n\r\nlost"), []),
            (alert, ["close"]),
            (timedOut, ["fail upgrade: 404 lost"])
        ),
        Row(
            "upgrade: an invalid request is reported when it is due",
            Route(proxy: .http, upgrade: .failure(.unusableRequest("a field"))),
            (connected, connect),
            (.bytes(ok), ["established none", "timer", "fail upgrade: unusableRequest(\"a field\")"])
        ),
        Row(
            "no event has an effect after the failure",
            Route(),
            (connected, get),
            (closed, ["fail upgrade: closed"]),
            (connected, []),
            (secured, []),
            (.bytes(switching), []),
            (timedOut, []),
            (alert, []),
            (closed, [])
        ),
    ]

    // MARK: Running

    @Test("lead to a WebSocket for each kind of route", arguments: ways)
    func way(row: Row) throws { try run(row) }

    @Test("end with the failure of the right hop", arguments: failures)
    func failure(row: Row) throws { try run(row) }

    /// Runs a row for each split of each of its inputs.
    private func run(_ row: Row) throws {
        try check(row, cutting: nil) { [$0] }
        for (index, step) in row.steps.enumerated() {
            guard case .bytes(let text) = step.input else { continue }
            try everySplit(of: Self.latin1(text)) { pieces, how in
                try check(row, cutting: index, how) { _ in pieces }
            }
        }
    }

    private func check(
        _ row: Row,
        cutting cut: Int?,
        _ how: String = "whole",
        _ pieces: ([UInt8]) -> [[UInt8]]
    ) throws {
        var steps = try Self.steps(row.route)
        for (index, step) in row.steps.enumerated() {
            var actions: [String] = []
            switch step.input {
            case .event(let event):
                actions = steps.handle(event).map { Self.text($0) }
            case .bytes(let text):
                let bytes = Self.latin1(text)
                for piece in index == cut ? pieces(bytes) : [bytes] {
                    // After the hand-over to TLS or the WebSocket, bytes belong to it.
                    if let last = actions.last, last.hasPrefix("TLS") || last.hasPrefix("upgraded") {
                        let rest = String(decoding: piece, as: UTF8.self)
                        actions[actions.count - 1] = Self.join(last, rest)
                    } else {
                        actions += steps.handle(.received(ByteBuffer(bytes: piece))).map { Self.text($0) }
                    }
                }
            }
            #expect(actions == step.actions, "step \(index), \(how)")
        }
    }

    /// Appends bytes to those of an action.
    private static func join(_ action: String, _ rest: String) -> String {
        let hasBytes = action.split(separator: " ").count > (action.hasPrefix("TLS") ? 2 : 1)
        return hasBytes ? action + rest : "\(action) \(rest)"
    }

    private static func steps(_ route: Route) throws -> DialSteps {
        let credentials = route.hasCredentials ? try ProxyCredentials(user: "alice", password: "secret") : nil
        let opening: DialOpening
        switch route.proxy {
        case nil: opening = .direct
        case .http?, .https?:
            let seed = AuthenticationSeed(random: Array(repeating: 7, count: 24), unixTime: 1)
            opening = .connect(
                try ConnectExchange(
                    host: "tunnel.example",
                    port: 443,
                    credentials: credentials,
                    permitted: route.schemes,
                    seed: seed
                )
            )
        case .socks5?, .socks5h?:
            opening = .socks(try SocksExchange(host: "tunnel.example", port: 443, credentials: credentials))
        }
        let upgrade = try ClientUpgrade(
            authority: "tunnel.example",
            path: "/tunnel",
            subprotocols: ["culvert-tunnel.v1"],
            key: Array("the sample nonce".utf8)
        )
        return DialSteps(
            opening,
            proxyScheme: route.proxy,
            isSecure: route.isSecure,
            upgrade: UpgradeExchange(route.upgrade ?? .success(upgrade))
        )
    }

    // MARK: Actions as text

    private static func text(_ action: DialAction) -> String {
        switch action {
        case .startTimer(.hop): "timer"
        case .startTimer(.exchange): "timer of the exchange"
        case .send(let bytes): "send \(request(bytes))"
        case .passwordIsReadable: "readable password"
        case .startTLS(let peer, let early): "TLS \(peer)\(suffix(early))"
        case .fetchTicket: "fetch a ticket"
        case .proxyEstablished(let passage): "established \(passage.scheme.map { "\($0)" } ?? "none")"
        case .redial: "redial"
        case .upgraded(_, _, let rest): "upgraded\(suffix(rest))"
        case .close: "close"
        case .fail(let failure): "fail \(text(failure))"
        }
    }

    private static func text(_ failure: DialFailure) -> String {
        switch failure {
        case .tls(let peer, let failure): "TLS \(peer): \(failure)"
        case .proxy(.connect(let error)): "CONNECT: \(caseName(error.kind))"
        case .proxy(.socks(let error)): "SOCKS: \(caseName(error.kind))"
        case .upgrade(.refused(_, let head, let page)): "upgrade: \(head.status)\(suffix(page))"
        case .upgrade(.notHTTP): "upgrade: notHTTP"
        case .upgrade(let failure): "upgrade: \(failure)"
        case .connect, .proxy, .session: "\(failure)"
        }
    }

    private static func caseName(_ kind: Any) -> Substring { "\(kind)".prefix { $0 != "(" } }

    private static func suffix(_ bytes: ByteBuffer) -> String {
        bytes.readableBytes == 0 ? "" : " \(String(buffer: bytes))"
    }

    /// A request's first line without its version, and the scheme of its credentials; other bytes in hexadecimal.
    private static func request(_ bytes: ByteBuffer) -> String {
        guard bytes.readableBytesView.first != 5, bytes.readableBytesView.first != 1 else {
            return bytes.readableBytesView.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        }
        let lines = String(buffer: bytes).split(separator: "\r\n")
        let first = lines.first.map { $0.split(separator: " ").prefix(2).joined(separator: " ") } ?? ""
        let field = lines.first { $0.hasPrefix("Proxy-Authorization: ") }
        let scheme = field.map { $0.split(separator: " ")[1] }
        return first + (scheme.map { " with \($0)" } ?? "")
    }

    private static func latin1(_ text: String) -> [UInt8] { text.unicodeScalars.map { UInt8($0.value) } }
}
