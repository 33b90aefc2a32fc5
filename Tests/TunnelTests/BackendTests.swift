import Foundation
import NetworkAddress
import ProxyConnect
import TestSupport
import Testing

@testable import TunnelAdmin
@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer

/// The requests that reach a raw backend behind a server of this process.
@Suite("Requests to the backend")
struct BackendTests {
    /// A backend that records all received bytes, and answers after the head.
    private static func backend(_ seen: Mailbox<String>) throws -> TCPService {
        try TCPService { socket in
            var request: [UInt8] = []
            while !String(decoding: request, as: UTF8.self).contains("\r\n\r\n") {
                let more = (try? socket.receive()) ?? []
                if more.isEmpty { break }
                request += more
            }
            try? socket.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            // The backend ignores Connection: close.
            request += (try? socket.receiveToEnd()) ?? []
            seen.put(String(decoding: request, as: UTF8.self))
        }
    }

    private static func with(
        _ configure: @escaping (inout ServerConfiguration) -> Void = { _ in },
        _ body: @Sendable (_ ask: @Sendable (String) async throws -> String, Mailbox<String>) async throws -> Void
    ) async throws {
        let seen = Mailbox<String>()
        let site = try backend(seen)
        let setUp: (inout ServerConfiguration) -> Void = {
            $0.backend = Backend("http://127.0.0.1:\(site.port)")
            configure(&$0)
        }
        try await RunningServer.with(setUp) { server in
            let ask: @Sendable (String) async throws -> String = { request in
                try await onThread {
                    let socket = try TCPSocket(port: server.port, timeout: .seconds(20))
                    try socket.send(request)
                    let answer = try socket.receive()
                    try? socket.finishSending()
                    return String(decoding: answer, as: UTF8.self)
                }
            }
            try await body(ask, seen)
        }
    }

    @Test(
        "A Connection field that names a required field is refused with 400",
        arguments: [
            "Host", "Content-Length", "Transfer-Encoding", "X-Forwarded-For", "x-forwarded-proto", "X_Forwarded_For",
            "Forwarded", "X-Real-IP", "close, content-LENGTH", "Cookie", "Authorization", "Cache-Control",
            "Content_Type",
        ]
    )
    func connection(option: String) async throws {
        try await Self.with { ask, seen in
            let request = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: \(option)\r\n\r\nok"
            let answer1 = try await ask(request)
            #expect(answer1.hasPrefix("HTTP/1.1 400 "))
            #expect(seen.all.isEmpty)
        }
    }

    @Test("Fields that Connection names are removed in each spelling")
    func namedFields() async throws {
        try await Self.with { ask, seen in
            let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Hop\r\nX-Hop: 1\r\nX_Hop: 2\r\nX-Kept: 3\r\n\r\n"
            let answer2 = try await ask(request)
            #expect(answer2.hasSuffix("ok"))
            let arrived = try await seen.next("the request")
            #expect(!arrived.lowercased().contains("hop"))
            #expect(arrived.contains("\r\nX-Kept: 3\r\n"))
        }
    }

    @Test(
        "H29 a stranger's forwarding fields do not reach the backend in any spelling",
        arguments: [
            "X-Forwarded-For", "x_forwarded_for", "X-Forwarded_For", "X.Forwarded.For", "X-Forwarded-Proto",
            "X_Forwarded_Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Server",
            "X-Forwarded", "Forwarded", "FORWARDED", "X-Real-IP", "X_Real_IP", "x-real-ip", "X-Client-IP", "Client-IP",
            "Client_IP", "True-Client-IP", "CF-Connecting-IP", "X-Cluster-Client-IP", "Fastly-Client-IP",
            "X-Original-URL", "X-Rewrite-URL", "X-Original-Forwarded-For", "Proxy", "X-Originating-IP", "X-Remote-Addr",
        ]
    )
    func origins(name: String) async throws {
        try await Self.with { ask, seen in
            let answer3 = try await ask("GET / HTTP/1.1\r\nHost: a\r\n\(name): 6.6.6.6\r\n\r\n")
            #expect(answer3.hasSuffix("ok"))
            let arrived = try await seen.next("the request")
            #expect(!arrived.contains("6.6.6.6"))
            for own in ["X-Forwarded-For: 127.0.0.1", "X-Forwarded-Proto: http", "Connection: close"] {
                #expect(arrived.components(separatedBy: "\r\n\(own)\r\n").count == 2, "\(arrived)")
            }
        }
    }

    @Test(
        "A request with an ambiguous end, host or target is refused with 400",
        arguments: [
            "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", "GET http://a:81/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET http://a@b/ HTTP/1.1\r\nHost: a\r\n\r\n", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nContent_Length: 5\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nTransfer_Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        ]
    )
    func ambiguous(request: String) async throws {
        try await Self.with { ask, seen in
            let answer4 = try await ask(request)
            #expect(answer4.hasPrefix("HTTP/1.1 400 "))
            #expect(seen.all.isEmpty)
        }
    }

    @Test("CONNECT is refused, also for the tunnel's path", arguments: ["b.test:443", "/tunnel", "/"])
    func connect(target: String) async throws {
        try await Self.with { ask, seen in
            let answer = try await ask("CONNECT \(target) HTTP/1.1\r\nHost: b.test:443\r\n\r\n")
            #expect(answer.hasPrefix("HTTP/1.1 405 "))
            #expect(answer.contains("\r\nAllow: GET, "))
            #expect(seen.all.isEmpty)
        }
    }

    @Test("An absolute target that matches Host is forwarded in origin-form, except for the tunnel's path")
    func absolute() async throws {
        try await Self.with { ask, seen in
            let answer5 = try await ask("GET http://A.test/x?y=1 HTTP/1.1\r\nHost: a.test\r\n\r\n")
            #expect(answer5.hasSuffix("ok"))
            let answer6 = try await seen.next("the request")
            #expect(answer6.hasPrefix("GET /x?y=1 HTTP/1.1\r\nHost: a.test\r\n"))
            let own = try await ask("GET http://a.test/tunnel HTTP/1.1\r\nHost: a.test\r\n\r\n")
            #expect(own.hasPrefix("HTTP/1.1 426 "))
        }
    }

    @Test("An HTTP/1.0 request without Host gets the backend's, and OPTIONS * is forwarded unchanged")
    func oldForms() async throws {
        try await Self.with { ask, seen in
            let answer7 = try await ask("GET / HTTP/1.0\r\n\r\n")
            #expect(answer7.hasSuffix("ok"))
            let answer8 = try await seen.next("the request")
            #expect(answer8.contains("\r\nHost: 127.0.0.1:"))
            let answer9 = try await ask("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(answer9.hasSuffix("ok"))
            let answer10 = try await seen.next("the request")
            #expect(answer10.hasPrefix("OPTIONS * HTTP/1.1\r\nHost: a\r\n"))
        }
    }

    @Test(
        "A pipelined second request and trailers do not reach the backend",
        arguments: [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET /admin HTTP/1.1\r\nX-Real-IP: ::1\r\n\r\n", ""),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n", "hiGET /admin HTTP/1.1\r\n\r\n", "hi"),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
                "2\r\nhi\r\n0\r\nX-Real-IP: ::1\r\n\r\nGET /admin HTTP/1.1\r\n\r\n", "2\r\nhi\r\n0\r\n\r\n"
            ),
        ]
    )
    func pipelined(head: String, rest: String, body: String) async throws {
        try await Self.with { ask, seen in
            let answer11 = try await ask(head + rest)
            #expect(answer11.hasSuffix("ok"))
            let arrived = try await seen.next("the request")
            #expect(arrived.hasSuffix("\r\nConnection: close\r\n\r\n\(body)"), "\(arrived)")
        }
    }

    @Test("A malformed chunked body is refused with 400 and does not reach the backend")
    func malformedBody() async throws {
        try await Self.with { ask, seen in
            let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            let answer = try await ask(head + "nonsense\r\n")
            #expect(answer.hasPrefix("HTTP/1.1 400 "))
            #expect(seen.all.isEmpty)
        }
    }

    @Test("A body that becomes malformed resets the backend's connection, so the backend sees no valid end")
    func malformedEnd() async throws {
        let received = Mailbox<(bytes: [UInt8], ending: TCPSocket.Ending)>()
        let site = try TCPService { received.put(try $0.drain()) }
        try await RunningServer.with({ $0.backend = Backend("http://127.0.0.1:\(site.port)") }) { server in
            try await onThread {
                let visitor = try TCPSocket(port: server.port)
                try visitor.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n")
                while site.accepted == 0 { Thread.sleep(forTimeInterval: 0.005) }
                try visitor.send("nonsense")
                let answer = String(decoding: try visitor.drain().bytes, as: UTF8.self)
                try require(answer.hasPrefix("HTTP/1.1 400 "), answer)
            }
            let (bytes, ending) = try await received.next("the backend's connection ends")
            #expect(!String(decoding: bytes, as: UTF8.self).contains("nonsense"))
            #expect(ending == .reset)
        }
    }

    @Test("The scheme from a front is forwarded, and that of a stranger is replaced")
    func scheme() async throws {
        let request = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n"
        try await Self.with { ask, seen in
            _ = try await ask(request)
            let arrived = try await seen.next("the request")
            #expect(arrived.contains("\r\nX-Forwarded-Proto: http\r\n"))
            #expect(arrived.contains("\r\nX-Forwarded-For: 127.0.0.1\r\n"))
        }
        let configure: (inout ServerConfiguration) -> Void = {
            $0.trustedFronts = TrustedFronts(blocks: [CIDRBlock("127.0.0.1/32")].compactMap { $0 })
        }
        try await Self.with(configure) { ask, seen in
            _ = try await ask(request)
            var arrived = try await seen.next("the request")
            #expect(arrived.contains("\r\nX-Forwarded-Proto: https\r\n"))
            #expect(arrived.contains("\r\nX-Forwarded-For: 192.0.2.7\r\n"))
            _ = try await ask(request.replacing("Proto: https", with: "Proto: https, http"))
            arrived = try await seen.next("the request")
            #expect(arrived.contains("\r\nX-Forwarded-Proto: http\r\n"))
        }
    }

    @Test("The answer of a backend that closes with an unread upload reaches the client")
    func finalBytes() async throws {
        let answer = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        let site = try TCPService { socket in
            _ = try socket.receive(exactly: 100)
            try socket.send(answer)
            socket.close()
        }
        try await RunningServer.with({ $0.backend = Backend("http://127.0.0.1:\(site.port)") }) { server in
            try await onThreads(30, width: 4) { round in
                let visitor = try TCPSocket(port: server.port)
                // The connection ends while the client sends.
                try? visitor.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20000000\r\n\r\n")
                try? visitor.send([UInt8](repeating: 7, count: 20_000_000))
                let bytes = (try? visitor.drain().bytes) ?? []
                try require(String(decoding: bytes, as: UTF8.self) == answer, "round \(round): \(bytes.count) bytes")
            }
        }
    }

    @Test("A backend's last bytes and then its reset reach the client, even one that reads late")
    func reset() async throws {
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n" + String(repeating: "x", count: 20_000)
        let site = try TCPService { socket in
            _ = try socket.receive()
            try socket.send(answer)
            socket.abort()
        }
        try await RunningServer.with({ $0.backend = Backend("http://127.0.0.1:\(site.port)") }) { server in
            try await onThreads(20, width: 4) { round in
                let visitor = try TCPSocket(port: server.port)
                try visitor.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                if round.isMultiple(of: 2) { Thread.sleep(forTimeInterval: 0.1) }
                let (bytes, ending) = try visitor.drain()
                try require(bytes.count == answer.utf8.count, "round \(round): \(bytes.count) bytes")
                try require(ending == .reset, "round \(round): the reset is lost")
            }
        }
    }

    @Test("A client's reset resets the backend's connection after the client's bytes")
    func visitorResets() async throws {
        let received = Mailbox<(bytes: [UInt8], ending: TCPSocket.Ending)>()
        let site = try TCPService { received.put(try $0.drain()) }
        try await RunningServer.with({ $0.backend = Backend("http://127.0.0.1:\(site.port)") }) { server in
            for _ in 0..<10 {
                try await onThread {
                    let visitor = try TCPSocket(port: server.port)
                    try visitor.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n")
                    try visitor.send([UInt8](repeating: 7, count: 500))
                    visitor.abort()
                }
                let (bytes, ending) = try await received.next("the backend's connection ends")
                #expect(bytes.suffix(500).allSatisfy { $0 == 7 })
                #expect(ending == .reset)
            }
        }
    }
}
