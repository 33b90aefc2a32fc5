import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// Host names with the programs that people use: libraries, browsers and web servers.
    @Suite(.serialized)
    struct NameProgramTests {
        @Test(
            "Python's websockets exchange messages of all sizes, with and without TLS",
            .enabled(
                if: PythonLibrary.websockets.interpreter != nil || TestRun.isCI,
                "not installed: websockets (apt-get install \(PythonLibrary.websockets.package))"
            )
        )
        func websockets() async throws {
            let interpreter = try #require(PythonLibrary.websockets.interpreter)
            try await Scenario.run { scenario in
                let port = try FreePorts.next()
                let service = try scenario.python("sockets.py", ["serve", "\(port)"], interpreter: interpreter)
                _ = try await service.line { $0.hasPrefix("port ") }
                let (names, certificate) = try await NameServer.secure(in: scenario)
                _ = try await scenario.names(["app": port], at: names.server.url)
                for arguments in [
                    ["ws://app.example.test/", "\(names.http)"],
                    ["wss://app.example.test/", "\(names.https)", certificate.authority],
                ] {
                    let visitor = try scenario.python("sockets.py", ["visit"] + arguments, interpreter: interpreter)
                    #expect(try await visitor.exitStatus() == .exited(0), "\(visitor)")
                    #expect(visitor.output.lines == ["closed with 4000"], "\(visitor)")
                }
                try await scenario.expectNoStreams()
            }
        }

        @Test(
            "In Chromium a page, a WebSocket, events as they are sent and a streamed upload work, over HTTP/2 and HTTP/1.1",
            .enabled(if: TestRun.isHeavy),
            .needs(.chromium, .python, .openssl)
        )
        func browser() async throws {
            try await Scenario.run { scenario in
                let service = try scenario.python("service.py", ["0"])
                let line = try await service.line { $0.hasPrefix("port ") }
                let port = try #require(UInt16(line.dropFirst(5)))
                let (names, certificate) = try await NameServer.secure(in: scenario)
                _ = try await scenario.names(["app": port], at: names.server.url)
                for url in ["https://app.example.test:\(names.https)/", "http://app.example.test:\(names.http)/"] {
                    let check = try scenario.python("check.py", [url, certificate.certificate, scenario.directory])
                    #expect(try await check.exitStatus(within: .seconds(90)) == .exited(0), "\(check)")
                }
                try await scenario.expectNoStreams()
            }
        }

        @Test("nginx as a service refuses a large upload early, and compresses", .needs(.nginx, .curl))
        func nginx() async throws {
            try await Scenario.run { scenario in
                let folder = try scenario.folder("www")
                try scenario.write(String(repeating: "line\n", count: 100_000), to: "\(folder)/text.html")
                let nginx = try await Nginx.files(
                    in: folder,
                    of: scenario,
                    settings: "gzip on; location /small/ { client_max_body_size 1m; dav_methods PUT; }"
                )
                let (names, certificate) = try await NameServer.secure(in: scenario)
                _ = try await scenario.names(["app": nginx.port], at: names.server.url)
                for url in ["http://app.example.test:\(names.http)", "https://app.example.test:\(names.https)"] {
                    func curl(_ path: String, _ options: [String]) async throws -> String {
                        let resolve = url.replacing(/https?:\/\//, with: "") + ":127.0.0.1"
                        let fixed = ["-sS", "--max-time", "20", "--cacert", certificate.authority, "--resolve"]
                        return try await scenario.run(.curl, fixed + [resolve] + options + [url + path])
                    }
                    let upload = ["-T", "\(folder)/large", "-w", "%{http_code}"]
                    try scenario.write(String(repeating: "z", count: 5_000_000), to: "\(folder)/large")
                    for expectation in [["-H", "Expect:"], ["-H", "Expect: 100-continue"]] {
                        let answer = try await curl("/small/x", upload + expectation)
                        // The page is delivered, although the request does not end.
                        #expect(answer.contains("Request Entity Too Large") && answer.hasSuffix("413"), "\(answer)")
                        let done = try await curl("/copy", upload + expectation)
                        #expect(done.hasSuffix("201") || done.hasSuffix("204"), "\(done)")
                    }
                    #expect(try await curl("/copy", ["-o", "/dev/null", "-w", "%{size_download}"]) == "5000000")
                    let head = try await curl(
                        "/text.html",
                        ["-D", "-", "-o", "/dev/null", "-H", "Accept-Encoding: gzip"]
                    )
                    #expect(head.lowercased().contains("content-encoding: gzip"), "\(head)")
                }
                try await scenario.expectNoStreams()
            }
        }

        @Test("A service that closes its idle connection as a request comes fails no GET, and no stream is left")
        func idleClose() async throws {
            try await Scenario.run { scenario in
                let service = try TCPService { socket in
                    let connection = HTTPConnection(socket)
                    _ = try connection.request()
                    try socket.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                    // The next request is on its way, and is not read.
                    try socket.waitForBytes()
                    try socket.finishSending()
                    // The END goes first, and then the reset.
                    Thread.sleep(forTimeInterval: 0.02)
                    socket.abort()
                }
                let (names, _) = try await NameServer.secure(in: scenario)
                _ = try await scenario.names(["app": service.port], at: names.server.url)
                try await onThread {
                    let visitor = try names.visit()
                    for number in 0..<20 {
                        let answer = try visitor.get("/\(number)", host: "app.example.test")
                        try require(answer.status == 200 && answer.body == "ok", "request \(number): \(answer)")
                    }
                }
                try await scenario.expectNoStreams()
            }
        }

        @Test(
            "Services that close after 1 s fail no request of visitors that pause about as long",
            .enabled(if: TestRun.isHeavy),
            .needs(.nginx)
        )
        func keepAlive() async throws {
            try await Scenario.run { scenario in
                let folder = try scenario.folder("www")
                let nginx = try await Nginx.files(
                    in: folder,
                    of: scenario,
                    settings: "keepalive_timeout 1s; location /ok { return 200 ok; }"
                )
                let (names, _) = try await NameServer.secure(in: scenario)
                _ = try await scenario.names(["app": nginx.port], at: names.server.url)
                try await onThreads(40, width: 40) { index in
                    let visitor = try names.visit()
                    for number in 0..<25 {
                        let method = ["GET", "POST", "PUT"][(number + index) % 3]
                        let fields = method == "GET" ? "" : "Content-Length: 0\r\n"
                        let answer = try visitor.get("/ok", host: "app.example.test", method: method, fields: fields)
                        try require(answer.status == 200, "\(method) \(number) of visitor \(index): \(answer)")
                        Thread.sleep(forTimeInterval: Double.random(in: 0.97...1.03))
                    }
                }
                try await scenario.expectNoStreams()
            }
        }
    }
}
