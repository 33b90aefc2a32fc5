import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// Visitors of host names that do not keep to the order of requests and answers.
    @Suite(.serialized)
    struct NameAbuseTests {
        private func start(_ scenario: Scenario, _ service: TCPService) async throws -> NameServer {
            let names = try await NameServer.start(in: scenario)
            let client = try scenario.client(names.server.url, ["http:app:127.0.0.1:\(service.port)"])
            _ = try await client.name("app.example.test")
            return names
        }

        @Test("A request behind one that the relay answers by itself, in the same packet, is answered")
        func pipelined() async throws {
            try await Scenario.run { scenario in
                let names = try await start(scenario, TCPService.http("app"))
                try await onThread {
                    let visitor = try names.visit()
                    try visitor.socket.send(
                        "GET / HTTP/1.1\r\nHost: unknown.example.test\r\n\r\nGET / HTTP/1.1\r\nHost: app.example.test\r\n\r\n"
                    )
                    #expect(try visitor.answer().status == 404)
                    #expect(try visitor.answer().status == 200)
                }
            }
        }

        @Test(
            "A malformed body behind the beginning of the service's answer resets the visitor, and no page is mixed in"
        )
        func brokenBody() async throws {
            let service = try TCPService { socket in
                _ = try socket.receive()
                try socket.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nbegin")
                _ = try socket.receiveToEnd()
            }
            try await Scenario.run { scenario in
                let names = try await start(scenario, service)
                try await onThread {
                    let visitor = try names.visit()
                    try visitor.socket.send(
                        "POST / HTTP/1.1\r\nHost: app.example.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
                    )
                    var bytes: [UInt8] = []
                    while !String(decoding: bytes, as: UTF8.self).hasSuffix("begin") {
                        bytes += try visitor.socket.receive()
                    }
                    try visitor.socket.send("no chunk\r\n")
                    let rest = try visitor.socket.drain()
                    #expect(rest.bytes.isEmpty, "\(String(decoding: rest.bytes, as: UTF8.self))")
                }
            }
        }

        @Test("A slow visitor that has ended its side gets the whole answer")
        func halfClosed() async throws {
            try await Scenario.run { scenario in
                let names = try await start(scenario, TCPService.http("app"))
                for fields in ["", "Connection: close\r\n"] {
                    let request = "GET /bytes/12000000 HTTP/1.1\r\nHost: app.example.test\r\n\(fields)\r\n"
                    let count = try await bytes(from: names.http, request)
                    #expect(count > 12_000_000 && count < 12_001_000)
                }
            }
        }

        /// Reads the answer of `service` slowly, behind FIN.
        private func bytes(from port: UInt16, _ request: String) async throws -> Int {
            try await onThread {
                let socket = try TCPSocket(port: port, timeout: .seconds(20))
                try socket.send(request)
                try socket.finishSending()
                var count = 0
                while case let more = try socket.receive(upTo: 16_384).count, more > 0 {
                    count += more
                    Thread.sleep(forTimeInterval: 0.001)
                }
                return count
            }
        }

        @Test("A slow visitor of a group's port that has ended its side gets everything")
        func halfClosedRaw() async throws {
            let service = try TCPService { socket in
                _ = try socket.receiveToEnd()
                try socket.send([UInt8](repeating: 7, count: 12_000_000))
            }
            try await Scenario.run { scenario in
                let server = try await scenario.server()
                let file = "\(scenario.directory)/client.toml"
                try scenario.write("0123456789abcdef\n", to: "\(scenario.directory)/key")
                let port = try FreePorts.next()
                try scenario.write(
                    """
                    [[tunnel]]
                    remote = "\(port)"
                    local = "127.0.0.1:\(service.port)"
                    group = "blue"
                    group_key_file = "\(scenario.directory)/key"
                    """,
                    to: file
                )
                let client = try scenario.client(server.url, [], options: ["--config", file])
                #expect(try await client.tunnel(to: service.port) == port)
                #expect(try await bytes(from: port, "all") == 12_000_000)
            }
        }

        @Test("A client that has the endpoint's host name does not get the other clients")
        func endpointHost() async throws {
            try await Scenario.run { scenario in
                let port = try FreePorts.next()
                let file = "\(scenario.directory)/server.toml"
                try scenario.write(
                    """
                    listen = ["127.0.0.1:\(port)"]
                    http_listen = "127.0.0.1:\(port)"
                    allow_names = ["*.example.test"]
                    token_file = "\(scenario.tokenFile)"
                    """,
                    to: file
                )
                let server = try scenario.culvert("server", ["server", "--config", file])
                _ = try await server.line { $0 == "listening ws://127.0.0.1:\(port)/tunnel" }
                let service = try TCPService.http("thief")
                let client = try scenario.client(
                    "ws://127.0.0.1:\(port)",
                    ["http:tunnel.example.test:\(service.port)"]
                )
                _ = try await client.name("tunnel.example.test")
                try await onThread {
                    let visitor = HTTPConnection(try TCPSocket(port: port, timeout: .seconds(20)))
                    #expect(try visitor.get("/tunnel", host: "tunnel.example.test").body.hasPrefix("thief"))
                    let fields = """
                        Connection: Upgrade\r
                        Upgrade: websocket\r
                        Sec-WebSocket-Version: 13\r
                        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r
                        Sec-WebSocket-Protocol: culvert-tunnel.v1\r

                        """
                    let answer = try visitor.get("/tunnel", host: "tunnel.example.test", fields: fields)
                    #expect(answer.status == 101 && answer.head.contains("Sec-WebSocket-Protocol: culvert-tunnel.v1"))
                }
            }
        }

        @Test("Silent visitors from many addresses give way to others once all connections are used", .needs(.python))
        func silentVisitors() async throws {
            try await Scenario.run { scenario in
                let service = try TCPService.http("app")
                let file = "\(scenario.directory)/server.toml"
                try scenario.write("[limits]\nhttp_connections = 4\nhttp_keep_alive = \"1 h\"\n", to: file)
                let names = try await NameServer.start(in: scenario, options: ["--config", file])
                let client = try scenario.client(names.server.url, ["http:app:127.0.0.1:\(service.port)"])
                _ = try await client.name("app.example.test")
                let flood = """
                    import socket
                    all = [socket.create_connection(("127.0.0.1", \(names.http)), 20, (f"127.0.0.{i}", 0)) for i in range(2, 6)]
                    for s in all: s.sendall(b"GET / HTTP/1.1\\r\\nHost: app.example.test\\r\\n\\r\\n"); s.recv(9)
                    print("full", flush=True)
                    input()
                    """
                let input = try InputPipe()
                let visitors = try scenario.start(
                    "python",
                    try Program.python.required(),
                    ["-c", flood],
                    input: .pipe(input)
                )
                _ = try await visitors.line { $0 == "full" }
                let first = try await onThread { try names.visit().get("/", host: "app.example.test").status }
                #expect(first == 503)
                _ = try await eventually("a place is free") {
                    (try? names.visit().get("/", host: "app.example.test").status) == 200 ? true : nil
                }
                input.finish()
            }
        }

        @Test("A visitor that takes nothing of its answer is reset, and one that takes a little is not")
        func slowVisitors() async throws {
            try await Scenario.run { scenario in
                let service = try TCPService.http("app")
                let file = "\(scenario.directory)/server.toml"
                try scenario.write("[limits]\nhttp_body_silence = \"1 s\"\n", to: file)
                let names = try await NameServer.start(in: scenario, options: ["--config", file])
                let client = try scenario.client(names.server.url, ["http:app:127.0.0.1:\(service.port)"])
                _ = try await client.name("app.example.test")
                let silent = try await onThread {
                    let visitor = try names.visit()
                    try visitor.socket.send("GET /bytes/100000000 HTTP/1.1\r\nHost: app.example.test\r\n\r\n")
                    return visitor.socket
                }
                _ = try await names.server.process.logLine { $0.contains("stream ended") }
                let ending = try await onThread { try silent.drain().ending }
                #expect(ending == .reset)
            }
        }
    }
}
