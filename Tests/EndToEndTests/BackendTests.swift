import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// Requests that are not for the tunnel, with and without a backend.
    @Suite(.serialized)
    struct BackendTests {
        /// Starts a web server that records its requests and answers with a body of a given length.
        private func site(_ seen: Mailbox<String>, bodyLength: Int = 5) throws -> TCPService {
            try TCPService { socket in
                var request: [UInt8] = []
                while !String(decoding: request, as: UTF8.self).contains("\r\n\r\n") {
                    let more = try socket.receive()
                    if more.isEmpty { return }
                    request += more
                }
                let head = String(decoding: request, as: UTF8.self)
                if let length = head.firstMatch(of: /Content-Length: ([0-9]+)/).flatMap({ Int($0.1) }) {
                    let start = head.range(of: "\r\n\r\n").map {
                        head.utf8.distance(from: head.startIndex, to: $0.upperBound)
                    }
                    while request.count < (start ?? 0) + length { request += try socket.receive() }
                }
                seen.put(String(decoding: request, as: UTF8.self))
                try socket.send("HTTP/1.1 200 OK\r\nServer: site\r\nContent-Length: \(bodyLength)\r\n\r\n")
                try socket.send(Array(repeating: UInt8(ascii: "x"), count: bodyLength))
            }
        }

        private func ask(_ port: UInt16, _ request: String) async throws -> String {
            try await onThread {
                let socket = try TCPSocket(port: port, timeout: .seconds(20))
                try socket.send(request)
                return String(decoding: try socket.drain().bytes, as: UTF8.self)
            }
        }

        @Test("Other paths are answered by the backend, and the tunnel's path works")
        func beside() async throws {
            try await Scenario.run { scenario in
                let seen = Mailbox<String>()
                let site = try site(seen, bodyLength: 1_000_000)
                let echo = try TCPService.echo()
                let server = try await scenario.server(options: ["--backend", "http://127.0.0.1:\(site.port)"])
                let answer = try await ask(server.port, "GET /index.html?q=1 HTTP/1.1\r\nHost: site.test\r\n\r\n")
                #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\nServer: site\r\n"))
                #expect(answer.hasSuffix(String(repeating: "x", count: 1_000_000)))
                #expect(
                    try await seen.next("the request").hasPrefix("GET /index.html?q=1 HTTP/1.1\r\nHost: site.test\r\n")
                )
                let client = try scenario.client(server.url, ["0:127.0.0.1:\(echo.port)"])
                try await expectEcho(through: client.tunnel(to: echo.port))
                // An invalid request for the tunnel's path does not reach the backend.
                let refused = try await ask(server.port, "GET /tunnel HTTP/1.1\r\nHost: site.test\r\n\r\n")
                #expect(refused.hasPrefix("HTTP/1.1 426 "))
                #expect(seen.all.isEmpty)
            }
        }

        @Test("H29 the backend receives forwarding fields only from the server, and no hop-by-hop fields")
        func fields() async throws {
            try await Scenario.run { scenario in
                let seen = Mailbox<String>()
                let site = try site(seen)
                let server = try await scenario.server(options: ["--backend", "http://127.0.0.1:\(site.port)"])
                let request = """
                    POST /form HTTP/1.1\r
                    Host: site.test\r
                    X-Forwarded-For: 6.6.6.6\r
                    Forwarded: for=6.6.6.6\r
                    Connection: keep-alive, X-Secret-Hop, Upgrade\r
                    X-Secret-Hop: 1\r
                    Upgrade: websocket\r
                    Cookie: a=b\r
                    Content-Length: 4\r
                    \r
                    body
                    """
                #expect(try await ask(server.port, request).hasSuffix("xxxxx"))
                let forwarded = try await seen.next("the request")
                #expect(forwarded.hasSuffix("\r\n\r\nbody"))
                for kept in [
                    "Cookie: a=b", "X-Forwarded-For: 127.0.0.1", "X-Forwarded-Proto: http", "Connection: close",
                ] {
                    #expect(forwarded.contains("\r\n\(kept)\r\n"), "\(forwarded)")
                }
                for gone in ["6.6.6.6", "X-Secret-Hop", "Upgrade:"] {
                    #expect(!forwarded.contains(gone), "\(forwarded)")
                }
            }
        }

        @Test("An unreachable backend causes 502, and without a backend the answer is 404")
        func unreachable() async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server(options: [
                    "--backend", "http://127.0.0.1:\(try FreePorts.next())",
                ])
                let answer = try await ask(server.port, "GET / HTTP/1.1\r\nHost: site.test\r\n\r\n")
                #expect(answer.hasPrefix("HTTP/1.1 502 "))
                let other = try await scenario.server()
                let none = try await ask(other.port, "GET / HTTP/1.1\r\nHost: site.test\r\n\r\n")
                #expect(none.hasPrefix("HTTP/1.1 404 "))
            }
        }

        @Test("H4 H8 H9 H12 an ambiguous request never reaches the backend")
        func smuggling() async throws {
            try await Scenario.run { scenario in
                let seen = Mailbox<String>()
                let site = try site(seen)
                let server = try await scenario.server(options: ["--backend", "http://127.0.0.1:\(site.port)"])
                let rows = [
                    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nbody",
                    "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
                    "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n",
                ]
                for row in rows {
                    let answer = try await ask(server.port, row)
                    #expect(answer.hasPrefix("HTTP/1.1 4"), "\(row): \(answer)")
                }
                #expect(seen.all.isEmpty)
            }
        }
    }
}
