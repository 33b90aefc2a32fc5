import Foundation
import Synchronization
import TestSupport
import Testing

extension EndToEnd {
    /// Requests for host names while the WebSocket is cut, and while there is none.
    @Suite(.serialized)
    struct NameReconnectTests {
        /// The pattern of Fixtures/names/service.py.
        private static let pattern = (0..<65_521 * 3).map {
            UInt8(truncatingIfNeeded: ($0 % 65_521) >> 8 ^ $0 % 65_521)
        }

        private static func pattern(_ start: Int, _ count: Int) -> ArraySlice<UInt8> {
            Self.pattern[(start % 65_521)...].prefix(count)
        }

        /// What visitors do while the test cuts.
        private final class Traffic: Sendable {
            let names: NameServer
            private let isOver = Mutex(false)
            private let counts = Mutex<[String: Int]>([:])

            init(_ names: NameServer) { self.names = names }

            var goesOn: Bool { isOver.withLock { !$0 } }
            /// The bytes or events of each visitor so far.
            var progress: [String: Int] { counts.withLock { $0 } }
            func end() { isOver.withLock { $0 = true } }
            private func note(_ name: String, _ count: Int) { counts.withLock { $0[name] = count } }

            /// Sends random bytes over an upgraded connection, and expects each piece back.
            func socket() throws {
                let visitor = try names.visit()
                let fields = "Connection: Upgrade\r\nUpgrade: websocket\r\n"
                let answer = try visitor.get("/socket", host: "echo.example.test", fields: fields)
                try require(answer.status == 101, "\(answer)")
                var count = 0
                while goesOn {
                    let bytes = randomBytes(20_000)
                    try visitor.socket.send(bytes)
                    try require(try visitor.read(bytes.count) == bytes, "another echo after \(count)")
                    count += bytes.count
                    note("socket", count)
                }
            }

            func download() throws {
                let (visitor, size) = (try names.visit(), 40_000_000_000)
                try visitor.socket.send("GET /pattern?bytes=\(size) HTTP/1.1\r\nHost: app.example.test\r\n\r\n")
                let head = String(decoding: try visitor.read(19), as: UTF8.self)
                try require(head == "HTTP/1.1 200 OK\r\nCo", head)
                var rest: [UInt8] = []
                while !rest.suffix(4).elementsEqual(Array("\r\n\r\n".utf8)) { rest += try visitor.read(1) }
                var count = 0
                while goesOn, count < size {
                    let bytes = try visitor.read(50_000)
                    try require(pattern(count, bytes.count).elementsEqual(bytes), "another byte after \(count)")
                    count += bytes.count
                    note("download", count)
                    Thread.sleep(forTimeInterval: 0.005)
                }
            }

            func upload() throws {
                let visitor = try names.visit()
                try visitor.socket.send(
                    "POST /upload HTTP/1.1\r\nHost: app.example.test\r\nTransfer-Encoding: chunked\r\n\r\n"
                )
                var count = 0
                while goesOn {
                    let bytes = pattern(count, 50_000)
                    try visitor.socket.send(Array("c350\r\n".utf8) + bytes + Array("\r\n".utf8))
                    count += bytes.count
                    note("upload", count)
                    Thread.sleep(forTimeInterval: 0.005)
                }
                try visitor.socket.send("0\r\n\r\n")
                let answer = try visitor.answer()
                let isWhole = answer.body.contains("\"bytes\": \(count),") && answer.body.contains("\"pattern\": true")
                try require(isWhole, "\(count) bytes: \(answer)")
            }

            /// Waits for server-sent events, and asks for the next one as each has come.
            func events() throws {
                let (visitor, asker) = (try names.visit(), try names.visit())
                try visitor.socket.send("GET /events HTTP/1.1\r\nHost: app.example.test\r\n\r\n")
                var text = ""
                func wait(for part: String) throws {
                    while !text.contains(part) { text += String(decoding: try visitor.read(1), as: UTF8.self) }
                    text = ""
                }
                try wait(for: "\r\n\r\n")
                var number = 0
                while goesOn {
                    let answer = try asker.get("/tick?data=\(number)", host: "app.example.test", method: "POST")
                    try require(answer.body == "1\n", "\(answer)")
                    try wait(for: "data: \(number)\n\n")
                    number += 1
                    note("events", number)
                }
                _ = try asker.get("/tick?data=last", host: "app.example.test", method: "POST")
                try wait(for: "data: last\n\n")
            }
        }

        /// - Parameter pause: called between two cuts.
        private func cuts(_ count: Int, pause: @escaping @Sendable () async throws -> Void) async throws {
            try await Scenario.run { scenario in
                let service = try scenario.python("service.py", ["0"])
                let line = try await service.line { $0.hasPrefix("port ") }
                let app = try #require(UInt16(line.dropFirst(5)))
                let echo = try TCPService.http("echo")
                let (names, certificate) = try await NameServer.secure(in: scenario)
                let relay = try FaultRelay(to: names.server.port)
                let client = try await scenario.names(
                    ["app": app, "echo": echo.port],
                    at: "ws://127.0.0.1:\(relay.port)"
                )
                let traffic = Traffic(names)
                async let visitors: Void = withThrowingTaskGroup(of: Void.self) { group in
                    for work in [traffic.socket, traffic.download, traffic.upload, traffic.events] {
                        group.addTask { try await onThread { try work() } }
                    }
                    defer { traffic.end() }
                    try await group.waitForAll()
                }
                let file = "\(scenario.directory)/download"
                let overHTTP2 = try scenario.start(
                    "curl",
                    try Program.curl.required(),
                    [
                        "-sS", "--http2", "--limit-rate", "2M", "-o", file, "--cacert", certificate.authority,
                        "--resolve",
                        "app.example.test:\(names.https):127.0.0.1",
                        "https://app.example.test:\(names.https)/pattern?bytes=8000000",
                    ]
                )
                let ways = FaultRelay.Cut.allCases
                for number in 0..<count {
                    let before = traffic.progress
                    try await eventually("all visitors go on", within: .seconds(30), found: { "\(traffic.progress)" }) {
                        let now = traffic.progress
                        return !traffic.goesOn
                            || now.count == 4 && now.allSatisfy { $0.value > before[$0.key, default: 0] }
                    }
                    guard traffic.goesOn else { break }
                    relay.cut(ways[number % ways.count])
                    _ = try await client.process.logLine(skip: number) { $0.contains("session resumed") }
                    try await pause()
                }
                traffic.end()
                try await visitors
                #expect(try await overHTTP2.exitStatus(within: .seconds(40)) == .exited(0), "\(overHTTP2)")
                let loaded = try Data(contentsOf: URL(fileURLWithPath: file))
                #expect(loaded.count == 8_000_000 && loaded.prefix(65_521).elementsEqual(Self.pattern(0, 65_521)))
                #expect(loaded.dropFirst(65_521).elementsEqual(loaded.dropLast(65_521)))
                #expect(client.process.errors.lines.count { $0.contains("session opened") } == 1)
                try await scenario.expectNoStreams()
            }
        }

        @Test(
            "Cuts of the WebSocket go unnoticed by a download, an upload, events and a WebSocket of visitors",
            .needs(.python, .curl)
        )
        func cuts() async throws {
            try await cuts(6) {}
        }

        @Test(
            "Cuts every 2 s for two minutes go unnoticed as well",
            .enabled(if: TestRun.isSlow),
            .needs(.python, .curl)
        )
        func manyCuts() async throws {
            try await cuts(60) { try await Task.sleep(for: .seconds(2)) }
        }

        /// A name whose client is cut off for as long as the relay discards its bytes.
        private func cutOff(_ body: @Sendable (FaultRelay, NameServer, Scenario) async throws -> Void) async throws {
            try await Scenario.run { scenario in
                let service = try TCPService.http("app")
                let (names, _) = try await NameServer.secure(in: scenario)
                let relay = try FaultRelay(to: names.server.port)
                _ = try await scenario.names(["app": service.port], at: "ws://127.0.0.1:\(relay.port)")
                relay.setBlackhole(.both)
                relay.cut(.reset)
                _ = try await names.server.process.logLine { $0.contains("carrier lost") }
                try await body(relay, names, scenario)
            }
        }

        @Test("A request that comes while the client is cut off is served once it is back")
        func returning() async throws {
            try await cutOff { relay, names, scenario in
                async let answer = onThread { try names.visit().get("/x", host: "app.example.test") }
                let admin = "\(scenario.directory)/server.sock"
                try await eventually("the visitor waits") {
                    try TCPSocket(unixPath: admin).request("GET", "/status").body.contains(/"visitors" ?: ?1\b/)
                }
                relay.setBlackhole([])
                relay.cut(.reset)
                #expect(try await answer.status == 200)
            }
        }

        // This test waits for 30 s, which is a time of the server's.
        @Test(
            "A visitor that sends FIN behind its request and gets nothing more is forgotten",
            .enabled(if: TestRun.isSlow)
        )
        func halfClosed() async throws {
            let release = Gate()
            try await Scenario.run { scenario in
                let service = try TCPService { socket in
                    _ = try HTTPConnection(socket).request()
                    try socket.send("HTTP/1.1 200 OK\r\n\r\nan event, and then no more")
                    // A service that takes no notice of FIN.
                    release.wait()
                }
                defer { release.open() }
                let (names, _) = try await NameServer.secure(in: scenario)
                _ = try await scenario.names(["app": service.port], at: names.server.url)
                try await onThread {
                    let visitor = try names.visit()
                    try visitor.socket.send("GET / HTTP/1.1\r\nHost: app.example.test\r\n\r\n")
                    try visitor.socket.finishSending()
                    _ = try visitor.read(70)
                }
                _ = try await names.server.process.logLine(within: .seconds(50)) { $0.contains("status=499") }
                try await scenario.expectNoStreams()
            }
        }

        // This test waits for 15 s, which is a time of the server's.
        @Test(
            "A request for a client that stays away gets 503 with Retry-After after 15 s",
            .enabled(if: TestRun.isSlow)
        )
        func staying() async throws {
            try await cutOff { _, names, _ in
                let start = ContinuousClock.now
                let answer = try await onThread { try names.visit().get("/x", host: "app.example.test") }
                let time = start.duration(to: .now)
                #expect(answer.status == 503 && answer.head.contains("Retry-After: "), "\(answer)")
                #expect(time > .seconds(14) && time < .seconds(18), "\(time)")
            }
        }
    }
}
