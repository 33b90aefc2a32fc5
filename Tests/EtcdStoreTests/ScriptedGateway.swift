import TestSupport

/// A gateway of etcd that a script answers for.
final class ScriptedGateway: Sendable {
    /// A request, and the connection for its answer.
    struct Exchange {
        let path: String
        let head: String
        let body: String
        let socket: TCPSocket

        /// Sends an answer of JSON.
        func answer(_ json: String, status: String = "200 OK") throws {
            try socket.send(
                "HTTP/1.1 \(status)\r\nContent-Type: application/json\r\nContent-Length: \(json.utf8.count)\r\n\r\n\(json)"
            )
        }

        /// Receives bytes until the client has closed the connection.
        func waitForEnd() throws { _ = try socket.drain() }
    }

    /// The paths of all requests.
    let paths = Mailbox<String>()
    private let service: TCPService

    /// - Parameter script: answers one request. The connection ends if it returns false.
    init(_ script: @escaping @Sendable (Exchange) throws -> Bool) throws {
        service = try TCPService { [paths] socket in
            while let exchange = try Self.next(socket) {
                paths.put(exchange.path)
                guard try script(exchange) else { return }
            }
        }
    }

    var url: String { "http://127.0.0.1:\(service.port)" }

    /// Accepted connections.
    var accepted: Int { service.accepted }

    private static func next(_ socket: TCPSocket) throws -> Exchange? {
        var text = ""
        while text.firstRange(of: "\r\n\r\n") == nil {
            let bytes = try socket.receive()
            if bytes.isEmpty { return nil }
            text += String(decoding: bytes, as: UTF8.self)
        }
        guard let end = text.firstRange(of: "\r\n\r\n") else { return nil }
        let head = String(text[..<end.lowerBound])
        var body = String(text[end.upperBound...])
        let lines = head.split(separator: "\r\n")
        let length = lines.first { $0.hasPrefix("Content-Length: ") }.flatMap { Int($0.dropFirst(16)) } ?? 0
        while body.utf8.count < length {
            body += String(decoding: try socket.receive(exactly: length - body.utf8.count), as: UTF8.self)
        }
        return Exchange(path: "\(lines[0].split(separator: " ")[1])", head: head, body: body, socket: socket)
    }
}
