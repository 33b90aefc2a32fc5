import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// Services at host names, through the whole tunnel.
    @Suite(.serialized)
    struct NameTests {
        @Test("Each request goes to the service that its Host names, also on one connection, and none goes astray")
        func interleaved() async throws {
            try await Scenario.run { scenario in
                let (one, two) = (try TCPService.http("one"), try TCPService.http("two"))
                let names = try await NameServer.start(in: scenario)
                let client = try scenario.client(
                    names.server.url,
                    ["http:one:127.0.0.1:\(one.port)", "http:two.example.test:127.0.0.1:\(two.port)"]
                )
                #expect(try await client.name("one.example.test") == "http://one.example.test:\(names.http)")
                _ = try await client.name("two.example.test")
                try await onThread {
                    let visitor = try names.visit()
                    for number in 0..<1_000 {
                        let name = number.isMultiple(of: 3) ? "two" : "one"
                        let answer = try visitor.get("/\(number)", host: "\(name).example.test")
                        guard answer.status == 200, answer.body.hasPrefix("\(name)\nGET /\(number) HTTP/1.1\r\n") else {
                            throw ScenarioFailure(description: "request \(number) for \(name): \(answer)")
                        }
                    }
                }
                // One stream for each name, and each is reused.
                #expect(one.accepted == 1 && two.accepted == 1)
            }
        }

        @Test("Each form of a body passes, and the connection carries the next request")
        func bodies() async throws {
            try await Scenario.run { scenario in
                let service = try TCPService.http("app")
                let names = try await NameServer.start(in: scenario)
                let client = try scenario.client(names.server.url, ["http:app:127.0.0.1:\(service.port)"])
                _ = try await client.name("app.example.test")
                try await onThread {
                    let visitor = try names.visit()
                    func get(_ path: String, method: String = "GET", fields: String = "") throws
                        -> HTTPConnection.Answer
                    {
                        try visitor.get(path, host: "app.example.test", method: method, fields: fields)
                    }
                    #expect(try get("/chunked").body == "hello world")
                    // What ends with the service's connection is sent in chunks.
                    #expect(try get("/close").body == "until the end")
                    #expect(try get("/empty").status == 204)
                    #expect(try get("/unchanged").status == 304)
                    #expect(try get("/early").body == "ok")
                    #expect(try get("/bytes/1000000").body.utf8.count == 1_000_000)
                    let head = try get("/bytes/77", method: "HEAD")
                    #expect(head.status == 200 && head.head.contains("Content-Length: 77"))
                    try visitor.socket.send(
                        "POST / HTTP/1.1\r\nHost: app.example.test\r\nContent-Length: 5\r\n\r\nhello"
                    )
                    #expect(try visitor.answer().body.hasSuffix("\r\n5\n"))
                    let chunks = "3;x=1\r\nabc\r\n4\r\ndefg\r\n0\r\nX-T: 1\r\n\r\n"
                    try visitor.socket.send(
                        "POST / HTTP/1.1\r\nHost: app.example.test\r\nTransfer-Encoding: chunked\r\n\r\n\(chunks)"
                    )
                    #expect(try visitor.answer().body.hasSuffix("\r\n7\n"))
                    try visitor.socket.send(
                        "POST / HTTP/1.1\r\nHost: app.example.test\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
                    )
                    try visitor.socket.send("ok")
                    #expect(try visitor.answer().body.hasSuffix("\r\n2\n"))
                    // Two requests in one packet.
                    let request = "GET /a HTTP/1.1\r\nHost: app.example.test\r\n\r\n"
                    try visitor.socket.send(request + request)
                    #expect(try visitor.answer().status == 200 && visitor.answer().status == 200)
                    // HTTP/1.0 has no chunks: the connection ends with the body.
                    try visitor.socket.send("GET /chunked HTTP/1.0\r\nHost: app.example.test\r\n\r\n")
                    let old = try visitor.answer()
                    #expect(old.body == "hello world" && old.head.contains("Connection: close"))
                }
            }
        }

        @Test("The service gets one Host, the visitor's address, and no field that ends at the hop")
        func fields() async throws {
            try await Scenario.run { scenario in
                let service = try TCPService.http("app")
                let names = try await NameServer.start(in: scenario)
                let client = try scenario.client(names.server.url, ["http:app:127.0.0.1:\(service.port)"])
                _ = try await client.name("app.example.test")
                try await onThread {
                    let sent = """
                        X-Forwarded-For: 6.6.6.6\r
                        Forwarded: for=6.6.6.6\r
                        X-Real-IP: 6.6.6.6\r
                        Connection: keep-alive, X-Hop\r
                        X-Hop: 1\r
                        Cookie: a=b\r

                        """
                    let answer = try names.visit().get("/", host: "APP.example.test", fields: sent)
                    #expect(
                        answer.body == """
                            app
                            GET / HTTP/1.1\r
                            Host: APP.example.test\r
                            Cookie: a=b\r
                            X-Forwarded-For: 127.0.0.1\r
                            X-Forwarded-Proto: http\r
                            X-Forwarded-Host: APP.example.test\r
                            Forwarded: for=127.0.0.1;host=APP.example.test;proto=http\r
                            \r
                            0

                            """
                    )
                }
            }
        }

        @Test("A WebSocket passes both ways after its upgrade")
        func upgrade() async throws {
            try await Scenario.run { scenario in
                let service = try TCPService.http("app")
                let names = try await NameServer.start(in: scenario)
                let client = try scenario.client(names.server.url, ["http:app:127.0.0.1:\(service.port)"])
                _ = try await client.name("app.example.test")
                try await onThread {
                    let visitor = try names.visit()
                    let answer = try visitor.get(
                        "/socket",
                        host: "app.example.test",
                        fields: "Connection: Upgrade\r\nUpgrade: websocket\r\n"
                    )
                    #expect(answer.status == 101)
                    for _ in 0..<3 {
                        let bytes = randomBytes(100_000)
                        try visitor.socket.send(bytes)
                        #expect(try visitor.read(bytes.count) == bytes)
                    }
                    try visitor.socket.finishSending()
                    #expect(try visitor.socket.receiveToEnd().isEmpty)
                }
            }
        }

        @Test("What fails is told by its status, and a cut answer does not look like a whole one")
        func failures() async throws {
            try await Scenario.run { scenario in
                let service = try TCPService.http("app")
                let gone = try TCPService.http("gone")
                gone.stop()
                let file = "\(scenario.directory)/server.toml"
                try scenario.write("[limits]\nhttp_answer = \"1 s\"\n", to: file)
                let names = try await NameServer.start(in: scenario, options: ["--config", file])
                let client = try scenario.client(
                    names.server.url,
                    ["http:app:127.0.0.1:\(service.port)", "http:gone:127.0.0.1:\(gone.port)"]
                )
                _ = try await client.name("app.example.test")
                _ = try await client.name("gone.example.test")
                try await onThread {
                    func get(_ path: String, host: String, fields: String = "") throws -> HTTPConnection.Answer {
                        try names.visit().get(path, host: host, fields: fields)
                    }
                    #expect(try get("/", host: "other.example.test").status == 404)
                    #expect(try get("/", host: "127.0.0.1").status == 404)
                    #expect(try get("/", host: "gone.example.test").status == 502)
                    #expect(try get("/garbage", host: "app.example.test").status == 502)
                    #expect(try get("/never", host: "app.example.test").status == 504)
                    let page = try get("/", host: "other.example.test", fields: "Accept: text/html\r\n")
                    #expect(page.head.contains("text/html") && !page.body.lowercased().contains("culvert"))
                    let visitor = try names.visit()
                    try visitor.socket.send("GET /short HTTP/1.1\r\nHost: app.example.test\r\n\r\n")
                    #expect(try visitor.socket.drain().ending == .reset)
                    let tunnel = try names.visit()
                    try tunnel.socket.send("CONNECT app.example.test:80 HTTP/1.1\r\nHost: app.example.test:80\r\n\r\n")
                    #expect(try tunnel.answer().status == 405)
                }
            }
        }

        @Test("A client gets the names that it may have, and no other client gets one of them")
        func rights() async throws {
            try await Scenario.run { scenario in
                let service = try TCPService.http("app")
                let names = try await NameServer.start(in: scenario)
                let first = try scenario.client(names.server.url, ["http:app:\(service.port)"])
                _ = try await first.name("app.example.test")
                let second = try scenario.client(
                    names.server.url,
                    ["http:app:\(service.port)", "http:app.example.com:\(service.port)", "http:ok:\(service.port)"],
                    options: ["--name", "second"]
                )
                _ = try await second.name("ok.example.test")
                _ = try await second.process.logLine { $0.contains("the name app.example.com is not allowed here") }
                _ = try await second.process.logLine { $0.contains("http:app.example.test is held by") }
            }
        }

        @Test("A visitor that waits for its next request does not hold up a client or a server that stops")
        func stopping() async throws {
            try await Scenario.run { scenario in
                let service = try TCPService.http("app")
                let names = try await NameServer.start(in: scenario)
                let client = try scenario.client(names.server.url, ["http:app:\(service.port)"])
                _ = try await client.name("app.example.test")
                let visitor = try await onThread {
                    let visitor = try names.visit()
                    #expect(try visitor.get("/", host: "app.example.test").status == 200)
                    return visitor.socket
                }
                client.process.signal(SIGTERM)
                #expect(try await client.process.exitStatus(within: .seconds(10)) == .exited(0))
                let again = try scenario.client(names.server.url, ["http:app:\(service.port)"])
                _ = try await again.name("app.example.test")
                let status = try await onThread {
                    try HTTPConnection(visitor).get("/", host: "app.example.test").status
                }
                #expect(status == 200)
                names.server.process.signal(SIGTERM)
                #expect(try await names.server.process.exitStatus(within: .seconds(10)) == .exited(0))
                let rest = try await onThread { try visitor.receiveToEnd() }
                #expect(rest.isEmpty)
            }
        }

        @Test("Large bodies pass both ways at once, slow readers hold their senders back")
        func backPressure() async throws {
            try await Scenario.run { scenario in
                let service = try TCPService.http("app")
                let names = try await NameServer.start(in: scenario)
                let client = try scenario.client(names.server.url, ["http:app:\(service.port)"])
                _ = try await client.name("app.example.test")
                async let upload: Void = onThread {
                    let visitor = try names.visit()
                    let count = 20_000_000
                    try visitor.socket.send(
                        "POST / HTTP/1.1\r\nHost: app.example.test\r\nContent-Length: \(count)\r\n\r\n"
                    )
                    for _ in 0..<20 { try visitor.socket.send([UInt8](repeating: 1, count: count / 20)) }
                    #expect(try visitor.answer().body.hasSuffix("\r\n\(count)\n"))
                }
                try await onThread {
                    let visitor = try names.visit()
                    try visitor.socket.send("GET /bytes/20000000 HTTP/1.1\r\nHost: app.example.test\r\n\r\n")
                    // A visitor that does not read for a while.
                    #expect(try names.visit().get("/", host: "app.example.test").status == 200)
                    #expect(try visitor.answer().body.utf8.count == 20_000_000)
                }
                try await upload
            }
        }
    }
}
