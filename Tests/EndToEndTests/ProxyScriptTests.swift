import Foundation
import TestSupport
import Testing
import Tunnel

@testable import culvert

extension Trait where Self == ConditionTrait {
    /// Skips the test with a note if pacparser is missing. In CI the test runs and fails.
    static var needsPacparser: Self {
        let isInstalled =
            dlopen("libpacparser.so.1", RTLD_LAZY) != nil || dlopen("libpacparser.dylib", RTLD_LAZY) != nil
        return .enabled(if: isInstalled || TestRun.isCI, "not installed: pacparser (apt-get install libpacparser1)")
    }
}

extension EndToEnd {
    /// Proxy scripts in their separate process, and a client that uses one.
    @Suite(.serialized)
    struct ProxyScriptTests {
        private static func run(_ script: String, timeout: Duration = .seconds(10)) async throws -> String {
            let engine = ProxyScriptProcess(executable: try CulvertExecutable.path(), timeout: timeout)
            return try await engine.answer(of: Array(script.utf8), url: "https://h.example/", host: "h.example")
        }

        /// Runs a script that must fail, and returns the reason.
        private static func reason(_ script: String, timeout: Duration = .seconds(10)) async throws -> String {
            do {
                return "it answered \(try await run(script, timeout: timeout))"
            } catch let failure as ProxyScriptFailure {
                #expect(!failure.isConfigurationError)
                return failure.reason
            }
        }

        /// The child processes that a process has not reaped yet.
        private static func children(of pid: Int32) throws -> [String] {
            try FileManager.default.contentsOfDirectory(atPath: "/proc").filter { name in
                let bytes = FileManager.default.contents(atPath: "/proc/\(name)/stat") ?? Data()
                // The fields are the id, the name in parentheses, the state and the parent.
                let facts = String(decoding: bytes, as: UTF8.self).split(separator: ")").last ?? ""
                return facts.split(separator: " ").dropFirst().first == "\(pid)"
            }
        }

        private static func function(_ body: String) -> String { "function FindProxyForURL(url, host) { \(body) }" }

        @Test(
            "The engine runs scripts and has the standard functions",
            .needsPacparser,
            arguments: [
                ("return 'PROXY a:8080; DIRECT'", "PROXY a:8080; DIRECT"),
                ("return url + ' ' + host", "https://h.example/ h.example"),
                ("return shExpMatch(host, '*.example') ? 'DIRECT' : 'PROXY a:1'", "DIRECT"),
                (
                    "return isInNet('10.1.2.3', '10.0.0.0', '255.0.0.0') && dnsDomainIs(host, '.example') ? 'yes' : 'no'",
                    "yes"
                ),
                ("return dnsResolve('localhost')", "127.0.0.1"), ("return 42", "42"), ("return null", "null"),
                ("", "undefined"),
                ("alert('x'); return 'DIRECT'", "DIRECT"),
                ("return ''", ""), ("return 'a\\0b'", "a"),
                ("return /^\\d+\\.\\d+\\.\\d+\\.\\d+$/.test(myIpAddress())", "true"),
            ]
        )
        func answers(body: String, answer: String) async throws {
            #expect(try await Self.run(Self.function(body)) == answer)
        }

        @Test("The script's process has three descriptors, few variables, and cannot gain privileges", .needsPacparser)
        func isolated() async throws {
            // A descriptor without close-on-exec, which children inherit by default.
            let leak = dup(STDERR_FILENO)
            setenv("SECRET_OF_THE_TEST", "hunter2", 1)
            defer {
                close(leak)
                unsetenv("SECRET_OF_THE_TEST")
            }
            let before = try Set(Self.children(of: getpid()))
            let endless = Task { try await Self.run(Self.function("while (true) {}"), timeout: .seconds(60)) }
            let child = try await eventually("the script's process is confined") { () -> String? in
                try Self.children(of: getpid()).first { pid in
                    guard !before.contains(pid) else { return false }
                    let arguments = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline") ?? Data()
                    let status = FileManager.default.contents(atPath: "/proc/\(pid)/status") ?? Data()
                    return String(decoding: arguments, as: UTF8.self).contains("evaluate-pac")
                        && String(decoding: status, as: UTF8.self).contains("\nNoNewPrivs:\t1\n")
                }
            }
            // Only root can read these entries, because the process hides its memory (ResourceTests).
            if geteuid() == 0 {
                // An inherited descriptor stays; the engine's library is open only while it is loaded.
                let descriptors: @Sendable () throws -> [String] = {
                    try FileManager.default.contentsOfDirectory(atPath: "/proc/\(child)/fd").sorted()
                }
                try await eventually("three descriptors", found: { "\((try? descriptors()) ?? [])" }) {
                    try descriptors() == ["0", "1", "2"]
                }
                let variables = FileManager.default.contents(atPath: "/proc/\(child)/environ") ?? Data()
                let names = variables.split(separator: 0).map { entry in
                    String(decoding: entry.prefix { $0 != UInt8(ascii: "=") }, as: UTF8.self)
                }
                let known = ["PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "SWIFT_BACKTRACE"]
                #expect(names.allSatisfy(known.contains), "\(names)")
            }
            endless.cancel()
            _ = await endless.result
        }

        @Test(
            "A script's error is reported in the engine's words",
            .needsPacparser,
            arguments: [
                ("", "Javascript function FindProxyForURL not defined."),
                ("var FindProxyForURL = 3", "Javascript function FindProxyForURL not defined."),
                ("<!DOCTYPE html>", "PAC script:1: SyntaxError: syntax error"),
                ("\n\nfunction (", "PAC script:3: SyntaxError"),
                ("FindProxyForURL(", "PAC script:1: SyntaxError"),
                (Self.function("throw 'me\\nover'"), "uncaught exception: me over"),
                (Self.function("return nobody()"), "PAC script:1: ReferenceError: nobody is not defined"),
                (Self.function("return FindProxyForURL(url, host)"), "PAC script:1: InternalError: too much recursion"),
                (Self.function("throw '\u{1B}[31m'"), "uncaught exception: \\u{1B}[31m"),
            ]
        )
        func mistakes(script: String, expected: String) async throws {
            let reason = try await Self.reason(script)
            #expect(reason.hasPrefix(expected), "\(reason)")
        }

        @Test(
            "An error of newer JavaScript names the supported version, and an error of an HTML page does not",
            .needsPacparser,
            arguments: [
                ("\nlet x = 1;\n" + Self.function("return 'DIRECT'"), 2, true),
                ("const f = (a) => a;\n" + Self.function("return 'DIRECT'"), 1, true),
                (Self.function("return `PROXY ${host}:1`"), 1, true),
                ("class A {}\n" + Self.function("return 'DIRECT'"), 1, true),
                (Self.function("return host.includes('h') ? 'DIRECT' : 'PROXY a:1'"), 1, true),
                ("<!DOCTYPE html>", 1, false), (Self.function("return nobody()"), 1, false),
            ]
        )
        func newerLanguage(script: String, line: Int, namesVersion: Bool) async throws {
            let reason = try await Self.reason(script)
            #expect(reason.hasPrefix("PAC script:\(line): "), "\(reason)")
            #expect(reason.contains("the engine supports ECMAScript 5") == namesVersion, "\(reason)")
        }

        @Test("A script's own alert replaces the built-in one", .needsPacparser)
        func ownAlert() async throws {
            let script = "var said;\nfunction alert(text) { said = text }\n"
            #expect(try await Self.run(script + Self.function("alert('x'); return said")) == "x")
        }

        @Test(
            "A script that crashes the engine, fills memory or returns too much causes an error only",
            .needsPacparser,
            arguments: [
                (
                    String(repeating: "(", count: 100_000) + "1" + String(repeating: ")", count: 100_000),
                    "crashed the engine"
                ),
                (Self.function("return { toString: function() { throw 1 } }"), "crashed the engine"),
                (
                    Self.function("var o = {}; o.toString = function() { return '' + o }; return o"),
                    "crashed the engine"
                ),
                ("var s = 'aaaaaaaaaaaaaaaa'; while (true) s += s", "out of memory"),
                (Self.function("var a = []; for (;;) a.push({ x: [1, 2, 3] })"), "out of memory"),
                (Self.function("var s = 'a'; for (var i = 0; i < 24; i++) s += s; return s"), "longer than 8192 bytes"),
                (
                    Self.function("var s = 'a'; for (var i = 0; i < 24; i++) s += s; throw s"),
                    "uncaught exception: aaaa"
                ),
            ]
        )
        func attacks(script: String, expected: String) async throws {
            let reason = try await Self.reason(script)
            #expect(reason.contains(expected), "\(reason)")
        }

        @Test(
            "An endless script is stopped",
            .needsPacparser,
            arguments: [
                "while (true);", Self.function("while (true);"), Self.function("return new Array(1e9).join('x')"),
                Self.function("return /(a+)+$/.test('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab')"),
            ]
        )
        func endless(script: String) async throws {
            let began = ContinuousClock.now
            let reason = try await Self.reason(script, timeout: .seconds(1))
            #expect(reason == "the script did not end within 1 s, and was stopped")
            #expect(began.duration(to: .now) < .seconds(8))
        }

        @Test("A script is stopped at once if its task is cancelled", .needsPacparser)
        func cancelled() async throws {
            let began = ContinuousClock.now
            let task = Task { try await Self.run("while (true);") }
            try await Task.sleep(for: .milliseconds(100))
            task.cancel()
            await #expect(throws: (any Error).self) { try await task.value }
            #expect(began.duration(to: .now) < .seconds(5))
        }

        @Test("A script of the maximum length runs", .needsPacparser)
        func longest() async throws {
            let script = Self.function("return 'DIRECT'") + "//"
            let padding = String(repeating: "x", count: ProxyScriptProcess.maximumScript - script.utf8.count)
            #expect(try await Self.run(script + padding) == "DIRECT")
        }

        @Test("The engine's process inherits neither secrets nor proxy variables (A8)")
        func environment() async throws {
            try await Scenario.run { scenario in
                let path = scenario.directory + "/environment"
                try scenario.write("#!/bin/sh\nexec env\n", to: path)
                try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
                var engine = ProxyScriptProcess(executable: path)
                engine.environment = [
                    "CULVERT_TOKEN": "s3cret", "CULVERT_PROXY_PASSWORD": "s3cret", "http_proxy": "http://u:s3cret@p",
                    "HTTPS_PROXY": "http://u:s3cret@p", "all_proxy": "s3cret", "No_Proxy": "s3cret", "LANG": "C",
                    "PATH": "/usr/bin:/bin",
                ]
                let answer = try await engine.answer(of: [], url: "", host: "")
                #expect(answer.contains("LANG=C\n"))
                #expect(!answer.contains("s3cret"), "\(answer)")
            }
        }

        @Test("Without the engine the error names the package")
        func noEngine() async throws {
            try await Scenario.run { scenario in
                // An executable that exits with the code of a missing engine.
                let path = scenario.directory + "/none"
                try scenario.write("#!/bin/sh\nexit 78\n", to: path)
                try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
                let engine = ProxyScriptProcess(executable: path)
                await #expect { try await engine.answer(of: [], url: "", host: "") } throws: { error in
                    (error as? ProxyScriptFailure)?.isConfigurationError == true
                        && "\(error)".contains("install pacparser (Debian, Ubuntu: libpacparser1;")
                }
                await #expect(throws: SpawnFailure.self) {
                    try await ProxyScriptProcess(executable: path + "/x").answer(of: [], url: "", host: "")
                }
            }
        }

        @Test(
            "A client uses the proxy that a script returns, from a file and over HTTP",
            .needs(.tinyproxy),
            .needsPacparser
        )
        func client() async throws {
            try await Scenario.run { scenario in
                let web = try TCPService.web(page: PathTests.page)
                let server = try await scenario.server()
                let proxy = try await Tinyproxy.start(in: scenario, connectPorts: [server.port])
                let dead = try FreePorts.next()
                let script = Self.function(
                    "return host == '127.0.0.1' ? 'PROXY 127.0.0.1:\(dead); PROXY 127.0.0.1:\(proxy.port)' : 'DIRECT'"
                )
                let path = scenario.directory + "/proxy script.pac"
                try scenario.write(script, to: path)
                let page = try TCPService.web(page: script)
                let file = path.replacing(" ", with: "%20")
                let plain = try scenario.client(
                    server.url,
                    ["0:127.0.0.1:\(web.port)"],
                    options: ["--proxy", proxy.url]
                )
                try await expectPage(PathTests.page, through: plain.tunnel(to: web.port))
                let before = try plain.process.descriptorCount
                await plain.process.end()
                for (count, url) in ["pac+file://\(file)", "pac+http://127.0.0.1:\(page.port)/proxy.pac"].enumerated() {
                    let client = try scenario.client(
                        server.url,
                        ["0:127.0.0.1:\(web.port)"],
                        options: ["--proxy", url]
                    )
                    try await expectPage(PathTests.page, through: client.tunnel(to: web.port))
                    #expect(proxy.connects(to: server.port).count == count + 2)
                    try await eventually("no descriptor is leaked") { try client.process.descriptorCount <= before }
                    #expect(try Self.children(of: client.process.pid) == [])
                    await client.process.end()
                }
                #expect(page.accepted == 1)
            }
        }

        @Test("A script that crashes the engine is skipped like one that cannot be read", .needsPacparser)
        func crash() async throws {
            try await Scenario.run { scenario in
                let web = try TCPService.web(page: PathTests.page)
                let server = try await scenario.server()
                let path = scenario.directory + "/crash.pac"
                try scenario.write(Self.function("return { toString: function() { throw 1 } }"), to: path)
                let client = try scenario.client(
                    server.url,
                    ["0:127.0.0.1:\(web.port)"],
                    options: ["--proxy", "pac+file://\(path)", "--proxy", "none"]
                )
                try await expectPage(PathTests.page, through: client.tunnel(to: web.port))
                #expect(client.process.errors.text.contains("the script crashed the engine"))
            }
        }

        @Test("A script that cannot be read is tried again, or skipped if another proxy is given")
        func skipped() async throws {
            try await Scenario.run { scenario in
                let web = try TCPService.web(page: PathTests.page)
                let server = try await scenario.server()
                let missing = "pac+file://\(scenario.directory)/none.pac"
                let remote = "0:127.0.0.1:\(web.port)"
                let retrying = try scenario.client(
                    server.url,
                    [remote],
                    options: ["--proxy", missing, "--max-retries", "1"]
                )
                #expect(try await retrying.process.exitStatus() == .exited(69))
                #expect(
                    retrying.process.errors.text.contains(
                        "proxy script: \(missing): the file cannot be read: No such file"
                    )
                )
                let client = try scenario.client(
                    server.url,
                    [remote],
                    options: ["--proxy", missing, "--proxy", "none"]
                )
                try await expectPage(PathTests.page, through: client.tunnel(to: web.port))
                #expect(client.process.errors.text.contains("proxy script: \(missing)"))
                let wrong = try scenario.client(server.url, [remote], options: ["--proxy", "pac+https://x/p.pac"])
                #expect(try await wrong.process.exitStatus() == .exited(64))
                #expect(wrong.process.errors.text.contains("pac+https:// is not supported"))
            }
        }
    }
}
