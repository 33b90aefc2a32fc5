import Foundation

/// An HTTP proxy that runs a script of the test.
///
/// It connects to loopback for every name, so it accepts names in `.test`.
public final class ScriptedProxy: Sendable {
    /// The head of a request.
    public struct Request: Sendable {
        /// The lines without line ends.
        public let lines: [String]

        /// The target in the form `host:port`.
        public var target: String { lines[0].split(separator: " ").dropFirst().first.map(String.init) ?? "" }

        /// The value of a field, whose name is compared without case.
        public func field(_ name: String) -> String? {
            lines.dropFirst().first { $0.lowercased().hasPrefix(name.lowercased() + ":") }
                .map { $0.dropFirst(name.count + 1).trimmingCharacters(in: .whitespaces) }
        }
    }

    /// The most common answer of proxies to CONNECT.
    public static let established = "HTTP/1.1 200 Connection established\r\n\r\n"

    /// The requests of all connections.
    public let requests = Mailbox<Request>()
    private let service: TCPService
    private let host: String

    /// Starts a proxy.
    ///
    /// - Parameters:
    ///   - address: an address of loopback, of either family.
    ///   - timeout: the time for which a socket may be idle.
    ///   - script: serves one connection, which is closed when it returns.
    public init(
        address: String = "127.0.0.1",
        timeout: Duration = .seconds(180),
        _ script: @escaping @Sendable (Connection) throws -> Void
    ) throws {
        host = address.contains(":") ? "[\(address)]" : address
        service = try TCPService(address: address, timeout: timeout) { [requests] socket in
            try script(Connection(socket, timeout, requests))
        }
    }

    /// The URL for `--proxy`.
    public var url: String { "http://\(host):\(service.port)" }

    /// The number of accepted connections.
    public var accepted: Int { service.accepted }

    /// Starts a proxy without authentication.
    public static func open(address: String = "127.0.0.1") throws -> ScriptedProxy {
        try ScriptedProxy(address: address) { connection in
            if let request = try connection.request() { try connection.tunnel(request) }
        }
    }

    /// One connection of a client to the proxy, on a separate thread.
    public final class Connection {
        /// The connection.
        public let socket: TCPSocket
        private let timeout: Duration
        private let requests: Mailbox<Request>

        init(_ socket: TCPSocket, _ timeout: Duration, _ requests: Mailbox<Request>) {
            (self.socket, self.timeout, self.requests) = (socket, timeout, requests)
        }

        /// Receives the next request; nil at the client's FIN. Bytes after a request and before its answer are an
        /// error.
        public func request() throws -> Request? {
            var bytes: [UInt8] = []
            while !bytes.ends(with: "\r\n\r\n") {
                let more = try socket.receive()
                if more.isEmpty {
                    try require(bytes.isEmpty, "a FIN in the middle of the request")
                    return nil
                }
                bytes += more
                try require(bytes.count < 65_536, "a request without an end")
            }
            let lines = String(decoding: bytes, as: UTF8.self).components(separatedBy: "\r\n").filter { !$0.isEmpty }
            try require(lines.filter { $0.hasPrefix("CONNECT ") }.count == 1, "not one CONNECT: \(lines)")
            let request = Request(lines: lines)
            requests.put(request)
            return request
        }

        /// Sends an answer, or a part of one.
        public func answer(_ text: String) throws {
            try socket.send(text)
        }

        /// Sends a 407 with a body, and keeps the connection.
        public func challenge(_ challenges: String...) throws {
            let fields = challenges.map { "Proxy-Authenticate: \($0)\r\n" }.joined()
            try answer("HTTP/1.1 407 Proxy Authentication Required\r\n\(fields)Content-Length: 9\r\n\r\nforbidden")
        }

        /// Connects to the request's target, answers, and relays bytes until the end.
        ///
        /// - Parameter idle: whether the tunnel is cut if no byte is relayed for the proxy's timeout.
        public func tunnel(
            _ request: Request,
            idle: Bool = false,
            answering: (_ server: TCPSocket) throws -> Void
        ) throws {
            guard let port = request.target.split(separator: ":").last.flatMap({ UInt16($0) }) else {
                throw ScenarioFailure(description: "no port in \(request.lines[0])")
            }
            let server = try TCPSocket(port: port, timeout: timeout)
            try answering(server)
            Relay(idle: idle ? timeout : nil).run(socket, server)
            server.close()
        }

        /// Connects to the request's target, sends the answer in one segment, and relays bytes until the end.
        public func tunnel(_ request: Request, answer text: String = established, idle: Bool = false) throws {
            try tunnel(request, idle: idle) { _ in try answer(text) }
        }
    }
}

extension [UInt8] {
    fileprivate func ends(with text: String) -> Bool { suffix(text.utf8.count).elementsEqual(text.utf8) }
}
