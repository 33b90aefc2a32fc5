import Foundation
import HTTP1
import Logging
import NIOCore
import ProxyConnect
import Synchronization
import TestSupport
import Testing

@testable import TunnelAdmin
@testable import TunnelClient
@testable import TunnelCore

/// An engine that records its calls and returns a given answer.
private final class ScriptedEngine: ProxyScriptEngine {
    let asked = Mutex<[String]>([])
    let answers: Mutex<[Result<String, ProxyScriptFailure>]>

    init(_ answers: Result<String, ProxyScriptFailure>...) {
        self.answers = Mutex(answers)
    }

    func answer(of script: [UInt8], url: String, host: String) async throws -> String {
        asked.withLock { $0.append("\(String(decoding: script, as: UTF8.self)) \(url) \(host)") }
        return try answers.withLock { try $0.count > 1 ? $0.removeFirst().get() : $0[0].get() }
    }
}

@Suite("Fetches and evaluations of proxy scripts")
struct ProxyScriptTests {
    private static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    /// A web server that gives each request the next answer, and repeats the last one.
    private static func web(_ answers: String..., inPieces: Bool = false) throws -> TCPService {
        let rest = Mutex(answers)
        return try TCPService { socket in
            var head = ""
            while !head.hasSuffix("\r\n\r\n") {
                let bytes = try socket.receive()
                if bytes.isEmpty { return }
                head += String(decoding: bytes, as: UTF8.self)
            }
            let answer = rest.withLock { $0.count > 1 ? $0.removeFirst() : $0[0] }
            try require(head.hasPrefix("GET /proxy.pac?a HTTP/1.1\r\nHost: 127.0.0.1:"), head)
            if inPieces {
                for byte in answer.utf8 { try socket.send([byte]) }
            } else {
                try socket.send(answer)
            }
            try socket.finishSending()
            _ = try socket.receiveToEnd()
        }
    }

    private static func page(_ port: UInt16, limit: Int = 64, timeout: TimeAmount = .seconds(10)) -> ProxyScriptPage {
        ProxyScriptPage(
            host: "127.0.0.1",
            port: Int(port),
            authority: "127.0.0.1:\(port)",
            target: "/proxy.pac?a",
            limit: limit,
            timeout: timeout
        )
    }

    private static func script(_ url: String, _ engine: ScriptedEngine, freshness: Duration = .seconds(300)) throws
        -> ProxyScript
    {
        ProxyScript(try ProxyScriptLocation(url), engine: engine, logger: logger, freshness: freshness)
    }

    private static let endpoint = Result { try EndpointURL("wss://tunnel.example/secret") }

    @Test(
        "A script is read for each framing of the body, whole or byte by byte",
        arguments: [
            "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nscript", "HTTP/1.0 200\n\nscript",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nscr\r\n3\r\nipt\r\n0\r\nX: y\r\n\r\n",
            "HTTP/1.1 102 Wait\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\nContent-Encoding: identity\r\n\r\nscript",
        ],
        [false, true]
    )
    func pages(answer: String, inPieces: Bool) async throws {
        let web = try Self.web(answer, inPieces: inPieces)
        #expect(try await Self.page(web.port).bytes() == Array("script".utf8))
    }

    @Test("A script of the maximum length is read, and a longer one is refused, as early as its announced length")
    func limits() async throws {
        for (count, isRead) in [(64, true), (65, false)] {
            let body = String(repeating: "x", count: count)
            let page = "HTTP/1.1 200 OK\r\nContent-Length: \(count)\r\n\r\n\(body)"
            for answer in [page, "HTTP/1.1 200 OK\r\n\r\n\(body)"] {
                let web = try Self.web(answer)
                let bytes = try? await Self.page(web.port).bytes()
                #expect(bytes?.count == (isRead ? 64 : nil))
            }
        }
        let web = try Self.web("HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\nx")
        await #expect { try await Self.page(web.port).bytes() } throws: { "\($0)".contains("longer than 64 bytes") }
    }

    @Test(
        "An answer without a script is refused with a reason",
        arguments: [
            ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "HTTP 404 Not Found; check the address"),
            ("HTTP/1.1 302 Found\r\nLocation: http://x/\u{1B}[31m\r\n\r\n", "malformed: control character"),
            (
                "HTTP/1.1 302 Found\r\nLocation: http://x/p\r\n\r\n",
                "HTTP 302 Found, Location: http://x/p; redirects are not"
            ),
            ("HTTP/1.1 204 No Content\r\n\r\n", "HTTP 204"), ("HTTP/1.1 101 Sure\r\n\r\n", "HTTP 101"),
            ("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx", "compressed"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nscript", "ended before it was complete"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 6\r\nContent-Length: 7\r\n\r\nscript", "contradictory Content-Length"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nscript", "ended before it was complete"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-6\r\nscript", "malformed chunked body"),
            ("HTTP/1.1 200 OK\r\n", "ended before it was complete"), ("", "ended before it was complete"),
            ("SSH-2.0-OpenSSH_9.2\r\n", "not HTTP"),
            (String(repeating: "HTTP/1.1 100 Continue\r\n\r\n", count: 9), "HTTP 100 Continue"),
        ]
    )
    func refusedPages(answer: String, expected: String) async throws {
        let web = try Self.web(answer)
        await #expect { try await Self.page(web.port).bytes() } throws: { error in
            error is ProxyScriptFailure && "\(error)".contains(expected)
        }
    }

    @Test("A fetch from a silent or slow web server times out", arguments: [false, true])
    func silence(isSlow: Bool) async throws {
        let release = Gate()
        let web = try TCPService { socket in
            if isSlow { while true { try socket.send("H"); Thread.sleep(forTimeInterval: 0.05) } }
            release.wait()
        }
        await #expect { try await Self.page(web.port, timeout: .milliseconds(300)).bytes() } throws: { error in
            "\(error)".contains("no whole answer within") || (isSlow && "\(error)".contains("not HTTP"))
        }
        release.open()
    }

    @Test("A fetch ends at once if its task is cancelled")
    func cancelled() async throws {
        let release = Gate()
        let web = try TCPService.silent(until: release)
        let task = Task { try await Self.page(web.port).bytes() }
        try await eventually("the fetch has begun") { web.accepted == 1 }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        release.open()
    }

    @Test("A file is read again at each use, and anything but a regular file is refused")
    func files() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("culvert-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let path = folder + "/proxy.pac"
        let engine = ScriptedEngine(.success("DIRECT"))
        let script = try Self.script("pac+file://\(path)", engine)
        for text in ["one", "\u{FEFF}two"] {
            try Data(text.utf8).write(to: URL(fileURLWithPath: path))
            #expect(try await script.choices(for: Self.endpoint.get()) == [.direct])
        }
        let asked = ["one", "two"].map { "\($0) https://tunnel.example/ tunnel.example" }
        #expect(engine.asked.withLock { $0 } == asked)

        try Data(repeating: 120, count: 65).write(to: URL(fileURLWithPath: path))
        #expect(mkfifo(folder + "/fifo", 0o600) == 0)
        for (name, expected) in [
            ("/none", "No such file"), ("/fifo", "not an ordinary file"), ("", "not an ordinary file"),
            ("/proxy.pac", "longer than 64"),
        ] {
            await #expect { try await ProxyScriptFile(path: folder + name, limit: 64).bytes() } throws: {
                "\($0)".contains(expected)
            }
        }
        #expect(try await ProxyScriptFile(path: path, limit: 65).bytes().count == 65)
    }

    @Test("A script is cached while it is fresh, and a stale one is used if a fetch fails")
    func freshness() async throws {
        let old = "HTTP/1.1 200 OK\r\n\r\nold"
        let web = try Self.web(old, "HTTP/1.1 500 No\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\nnew")
        let url = "pac+http://127.0.0.1:\(web.port)/proxy.pac?a"
        let engine = ScriptedEngine(.success("PROXY a:1; DIRECT"))
        let fresh = try Self.script(url, engine)
        let ways: [ProxyChoice] = [.proxy(try ProxyURL("http://a:1")), .direct]
        for _ in 0..<2 { #expect(try await fresh.choices(for: Self.endpoint.get()) == ways) }
        #expect(web.accepted == 1)

        let second = try Self.web(old, "HTTP/1.1 500 No\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\nnew")
        let stale = try Self.script("pac+http://127.0.0.1:\(second.port)/proxy.pac?a", engine, freshness: .zero)
        engine.asked.withLock { $0 = [] }
        for _ in 0..<3 { _ = try await stale.choices(for: Self.endpoint.get()) }
        #expect(engine.asked.withLock { $0.map { $0.prefix(3) } } == ["old", "old", "new"])
    }

    @Test("A script that fails is fetched again at the next dial")
    func failing() async throws {
        let web = try Self.web("HTTP/1.1 200 OK\r\n\r\n<html>log in", "HTTP/1.1 200 OK\r\n\r\nscript")
        let engine = ScriptedEngine(
            .failure(ProxyScriptFailure(reason: "SyntaxError", remedy: "tell somebody")),
            .success("DIRECT")
        )
        let script = try Self.script("pac+http://127.0.0.1:\(web.port)/proxy.pac?a", engine)
        await #expect { try await script.choices(for: Self.endpoint.get()) } throws: { error in
            (error as? DialError)?.disposition == .retry
                && "\(error)"
                    == "wss://tunnel.example/secret: proxy script: \(script.location): SyntaxError; tell somebody"
        }
        #expect(try await script.choices(for: Self.endpoint.get()) == [.direct])
        #expect(web.accepted == 2)
    }

    @Test("A missing engine ends the client, and an invalid or missing script is retried")
    func dispositions() async throws {
        let web = try Self.web("HTTP/1.1 200 OK\r\n\r\nscript", "HTTP/1.1 200 OK\r\n\r\nscr\u{0}ipt", "")
        let url = "pac+http://127.0.0.1:\(web.port)/proxy.pac?a"
        let missing = ProxyScriptFailure(reason: "none", remedy: "install it", isConfigurationError: true)
        let script = try Self.script(url, ScriptedEngine(.failure(missing)))
        for disposition in [DialError.Disposition.configuration, .retry, .retry] {
            await #expect { try await script.choices(for: Self.endpoint.get()) } throws: {
                ($0 as? DialError)?.disposition == disposition
                    && "\($0)".contains("proxy script: pac+http://127.0.0.1:")
            }
        }
        web.stop()
        await #expect { try await script.choices(for: Self.endpoint.get()) } throws: {
            "\($0)".contains("refused the connection")
        }
    }

    @Test("A script gets the scheme, host and port, and not the path")
    func target() async throws {
        let web = try Self.web("HTTP/1.1 200 OK\r\n\r\ns")
        let engine = ScriptedEngine(.success(""))
        let script = try Self.script("pac+http://127.0.0.1:\(web.port)/proxy.pac?a", engine)
        for text in ["wss://h/p?q", "ws://h:81", "wss://[::1]:444/"] {
            #expect(try await script.choices(for: EndpointURL(text)) == [.direct])
        }
        #expect(engine.asked.withLock { $0 } == ["s https://h/ h", "s http://h:81/ h", "s https://[::1]:444/ ::1"])
    }
}
