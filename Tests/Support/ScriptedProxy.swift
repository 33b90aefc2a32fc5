import Foundation

/// An HTTP proxy that runs a script of the test.
///
/// It connects to loopback for every name, so it seems to resolve names in `.test`.
public final class ScriptedProxy: Sendable {
    /// The head of a request as it arrived.
    public struct Request: Sendable {
        /// The lines without their ends.
        public let lines: [String]

        /// `host:port`.
        public var target: String { lines[0].split(separator: " ").dropFirst().first.map(String.init) ?? "" }

        /// The value of a field; the case of the name does not matter.
        public func field(_ name: String) -> String? {
            lines.dropFirst().first { $0.lowercased().hasPrefix(name.lowercased() + ":") }
                .map { $0.dropFirst(name.count + 1).trimmingCharacters(in: .whitespaces) }
        }
    }

    /// The usual answer of proxies to CONNECT.
    public static let usual = "HTTP/1.1 200 Connection established\r\n\r\n"

    /// All requests so far, of all connections.
    public let requests = Mailbox<Request>()
    private let service: TCPService
    private let host: String

    /// Starts one.
    ///
    /// - Parameters:
    ///   - address: an address of loopback, of either family.
    ///   - patience: the time for which a socket may be idle.
    ///   - script: serves one connection, which is closed when it returns.
    public init(
        address: String = "127.0.0.1",
        patience: Duration = .seconds(180),
        _ script: @escaping @Sendable (Visit) throws -> Void
    ) throws {
        host = address.contains(":") ? "[\(address)]" : address
        service = try TCPService(address: address, patience: patience) { [requests] socket in
            try script(Visit(socket, patience, requests))
        }
    }

    /// The URL for `--proxy`.
    public var url: String { "http://\(host):\(service.port)" }

    /// The number of accepted connections.
    public var accepted: Int { service.accepted }

    /// An open proxy.
    public static func open(address: String = "127.0.0.1") throws -> ScriptedProxy {
        try ScriptedProxy(address: address) { visit in
            if let request = try visit.request() { try visit.tunnel(request) }
        }
    }

    /// One connection of a client to the proxy, on a separate thread.
    public final class Visit {
        /// The connection.
        public let socket: TCPSocket
        private let patience: Duration
        private let requests: Mailbox<Request>

        init(_ socket: TCPSocket, _ patience: Duration, _ requests: Mailbox<Request>) {
            (self.socket, self.patience, self.requests) = (socket, patience, requests)
        }

        /// The next request; nil when the client sends no more. Bytes after a request and before its answer are an
        /// error.
        public func request() throws -> Request? {
            var bytes: [UInt8] = []
            while !bytes.ends(with: "\r\n\r\n") {
                let more = try socket.receive()
                if more.isEmpty {
                    try demand(bytes.isEmpty, "the client ended in the middle of its request")
                    return nil
                }
                bytes += more
                try demand(bytes.count < 65_536, "a request without an end")
            }
            let lines = String(decoding: bytes, as: UTF8.self).components(separatedBy: "\r\n").filter { !$0.isEmpty }
            try demand(lines.filter { $0.hasPrefix("CONNECT ") }.count == 1, "not one CONNECT: \(lines)")
            let request = Request(lines: lines)
            requests.put(request)
            return request
        }

        /// Sends an answer, or a part of one.
        public func answer(_ text: String) throws {
            try socket.send(text)
        }

        /// 407 with a body of known length, after which the connection is kept.
        public func challenge(_ challenges: String...) throws {
            let fields = challenges.map { "Proxy-Authenticate: \($0)\r\n" }.joined()
            try answer("HTTP/1.1 407 Proxy Authentication Required\r\n\(fields)Content-Length: 9\r\n\r\nforbidden")
        }

        /// Connects to the request's target, answers, and relays bytes until the end.
        ///
        /// - Parameter idle: whether the tunnel is cut after the proxy's patience without bytes.
        public func tunnel(
            _ request: Request,
            idle: Bool = false,
            answering: (_ server: TCPSocket) throws -> Void
        ) throws {
            guard let port = request.target.split(separator: ":").last.flatMap({ UInt16($0) }) else {
                throw ScenarioFailure(description: "no port in \(request.lines[0])")
            }
            let server = try TCPSocket(port: port, patience: patience)
            try answering(server)
            Relay(idle: idle ? patience : nil).run(socket, server)
            server.close()
        }

        /// The same with the answer in one segment.
        public func tunnel(_ request: Request, answer text: String = usual, idle: Bool = false) throws {
            try tunnel(request, idle: idle) { _ in try answer(text) }
        }
    }
}

extension [UInt8] {
    fileprivate func ends(with text: String) -> Bool { suffix(text.utf8.count).elementsEqual(text.utf8) }
}
