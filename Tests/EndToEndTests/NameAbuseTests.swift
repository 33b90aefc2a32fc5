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
                    try await onThread {
                        let socket = try TCPSocket(port: names.http, timeout: .seconds(20))
                        try socket.send("GET /bytes/8000000 HTTP/1.1\r\nHost: app.example.test\r\n\(fields)\r\n")
                        try socket.finishSending()
                        var count = 0
                        while case let more = try socket.receive(upTo: 16_384).count, more > 0 {
                            count += more
                            Thread.sleep(forTimeInterval: 0.001)
                        }
                        #expect(count > 8_000_000 && count < 8_001_000)
                    }
                }
            }
        }
    }
}
