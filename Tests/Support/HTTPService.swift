import Foundation

extension TCPService {
    /// An HTTP/1.1 service that keeps its connections. It answers with its name and the head that it got, and by the path:
    ///
    /// | path | answer |
    /// |---|---|
    /// | `/chunked` | three chunks and a trailer field |
    /// | `/close` | a body that ends with the connection |
    /// | `/empty`, `/unchanged` | 204, 304 |
    /// | `/bytes/N` | so many bytes |
    /// | `/early` | 103 before the answer |
    /// | `/never` | none |
    /// | `/garbage` | bytes that are not HTTP |
    /// | `/short` | fewer bytes than declared |
    /// | `/socket` | 101, and then an echo |
    public static func http(_ name: String, port: UInt16 = 0) throws -> TCPService {
        try TCPService(port: port) { socket in
            let connection = HTTPConnection(socket)
            while let request = try connection.request() {
                guard try answer(request, on: connection, name) else { return }
            }
        }
    }

    /// - Returns: whether the connection goes on.
    private static func answer(
        _ request: HTTPConnection.Request,
        on connection: HTTPConnection,
        _ name: String
    ) throws -> Bool {
        let socket = connection.socket
        switch request.path {
        case "/chunked":
            try socket.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;x=y\r\n \r\n")
            try socket.send("5\r\nworld\r\n0\r\nX-Sum: 11\r\nContent-Length: 3\r\n\r\n")
        case "/close":
            try socket.send("HTTP/1.1 200 OK\r\n\r\nuntil the end")
            return false
        case "/empty": try socket.send("HTTP/1.1 204 No Content\r\n\r\n")
        case "/unchanged": try socket.send("HTTP/1.1 304 Not Modified\r\nContent-Length: 50\r\n\r\n")
        case "/early":
            try socket.send(
                "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
            )
        case "/never":
            _ = try socket.receiveToEnd()
            return false
        case "/garbage":
            try socket.send("SSH-2.0-OpenSSH_9.2\r\n")
            return false
        case "/short":
            try socket.send("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort")
            return false
        case "/socket":
            try socket.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            try connection.echo()
            return false
        default:
            if request.path.hasPrefix("/bytes/"), let count = Int(request.path.dropFirst(7)) {
                try socket.send("HTTP/1.1 200 OK\r\nContent-Length: \(count)\r\n\r\n")
                var left = request.method == "HEAD" ? 0 : count
                let chunk = [UInt8](repeating: UInt8(ascii: "x"), count: 65_536)
                while left > 0 {
                    try socket.send(Array(chunk.prefix(left)))
                    left -= min(left, chunk.count)
                }
                return true
            }
            let text = "\(name)\n\(request.head)\(request.bodyLength)\n"
            let body = request.method == "HEAD" ? "" : text
            try socket.send(
                "HTTP/1.1 200 OK\r\nX-Service: \(name)\r\nContent-Length: \(text.utf8.count)\r\n\r\n\(body)"
            )
        }
        return true
    }
}

/// One end of an HTTP/1.1 connection of a test: reads heads, and bodies by their framing.
public final class HTTPConnection {
    /// A request that has come whole.
    public struct Request: Sendable {
        /// The method.
        public let method: String
        /// The target.
        public let path: String
        /// The head with its last empty line.
        public let head: String
        /// Bytes of its body.
        public let bodyLength: Int
    }

    /// An answer that has come whole.
    public struct Answer: Sendable {
        /// The status code.
        public let status: Int
        /// The head with its last empty line.
        public let head: String
        /// The content, without framing.
        public let body: String
    }

    /// The connection.
    public let socket: TCPSocket
    private var buffer: [UInt8] = []

    /// Wraps a socket.
    public init(_ socket: TCPSocket) {
        self.socket = socket
    }

    /// Sends a request without a body, and returns the answer.
    public func get(_ path: String, host: String, method: String = "GET", fields: String = "") throws -> Answer {
        try socket.send("\(method) \(path) HTTP/1.1\r\nHost: \(host)\r\n\(fields)\r\n")
        return try answer(to: method)
    }

    /// The next answer, without the informational ones before it.
    public func answer(to method: String = "GET") throws -> Answer {
        while true {
            guard let head = try head() else { throw ScenarioFailure(description: "the connection ended") }
            let status = head.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
            if (100..<200).contains(status), status != 101 { continue }
            let hasBody = method != "HEAD" && status != 204 && status != 304 && status != 101
            let body = hasBody ? try body(of: head, untilEnd: true) : []
            return Answer(status: status, head: head, body: String(decoding: body, as: UTF8.self))
        }
    }

    /// The next request; nil at the end.
    public func request() throws -> Request? {
        guard let head = try head() else { return nil }
        let words = head.split(separator: "\r\n")[0].split(separator: " ")
        if head.lowercased().contains("expect: 100-continue") { try socket.send("HTTP/1.1 100 Continue\r\n\r\n") }
        let length = try body(of: head, untilEnd: false).count
        return Request(method: String(words[0]), path: String(words[1]), head: head, bodyLength: length)
    }

    /// Sends back what comes.
    public func echo() throws {
        try socket.send(buffer)
        buffer = []
        while true {
            let bytes = try socket.receive()
            if bytes.isEmpty { return }
            try socket.send(bytes)
        }
    }

    /// Reads so many bytes.
    public func read(_ count: Int) throws -> [UInt8] {
        while buffer.count < count {
            let more = try socket.receive()
            guard !more.isEmpty else {
                throw ScenarioFailure(description: "the connection ended after \(buffer.count)")
            }
            buffer += more
        }
        defer { buffer.removeFirst(count) }
        return Array(buffer.prefix(count))
    }

    private func line() throws -> String? {
        while true {
            if let end = buffer.firstIndex(of: 0x0A) {
                defer { buffer.removeFirst(end + 1) }
                return String(decoding: buffer[...end], as: UTF8.self)
            }
            let more = try socket.receive()
            if more.isEmpty { return nil }
            buffer += more
        }
    }

    private func head() throws -> String? {
        var head = ""
        while let line = try line() {
            head += line
            if line == "\r\n" { return head }
        }
        return nil
    }

    private func body(of head: String, untilEnd: Bool) throws -> [UInt8] {
        let fields = head.lowercased()
        if fields.contains("transfer-encoding: chunked") {
            var body: [UInt8] = []
            while let line = try line() {
                let size = Int(line.prefix { $0.isHexDigit }, radix: 16) ?? 0
                guard size > 0 else { break }
                body += try read(size)
                _ = try self.line()
            }
            while let line = try line(), line != "\r\n" {}
            return body
        }
        if let length = fields.firstMatch(of: /content-length: ([0-9]+)/).flatMap({ Int($0.1) }) {
            return try read(length)
        }
        guard untilEnd else { return [] }
        defer { buffer = [] }
        return try buffer + socket.receiveToEnd()
    }
}
