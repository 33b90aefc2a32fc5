import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// HTTP/2 in raw frames: many requests at once, what a visitor must not do, and the end.
    @Suite(.serialized, .needs(.python, .openssl))
    struct NameHTTP2Tests {
        private func run(
            _ command: String,
            _ body: (ChildProcess, NameServer, Scenario) async throws -> Void = { _, _, _ in }
        ) async throws {
            try await Scenario.run { scenario in
                let (one, two) = (try TCPService.http("one"), try TCPService.http("two"))
                let (names, _) = try await NameServer.secure(in: scenario)
                let client = try await scenario.names(["one": one.port, "two": two.port], at: names.server.url)
                let processes = [names.server.process, client.process]
                let before = try await settledDescriptors(processes)
                let input = try InputPipe()
                let visitor = try scenario.python("http2.py", ["\(names.https)", command], input: .pipe(input))
                try await body(visitor, names, scenario)
                input.finish()
                #expect(try await visitor.exitStatus(within: .seconds(120)) == .exited(0), "\(visitor)")
                guard names.server.process.exitStatus == nil, command != "draining" else { return }
                try await scenario.expectNoStreams()
                try await eventually("no descriptor is left", found: { "\(before), \(descriptors(processes))" }) {
                    zip(descriptors(processes), before).allSatisfy { $0 <= $1 }
                }
            }
        }

        @Test("1,000 requests for two names on one connection, 50 at a time, get their own answers")
        func interleaved() async throws {
            try await run("interleaved")
        }

        @Test("Floods and oversized heads end their connection, and other visitors are served")
        func abuse() async throws {
            try await run("abuse") { visitor, names, _ in
                let before = try names.server.process.residentBytes
                _ = try await visitor.exitStatus(within: .seconds(120))
                let growth = try names.server.process.residentBytes - before
                #expect(growth < 40 << 20, "the server grew by \(growth) bytes")
            }
        }

        @Test("Visitors that read nothing hold no more than their windows, and others are served")
        func stalled() async throws {
            try await run("stalled") { visitor, names, _ in
                _ = try await visitor.line(within: .seconds(60)) { $0 == "stalled" }
                // 1,050 streams with up to 128 KiB each on the way.
                let held = try names.server.process.residentBytes
                #expect(held < 320 << 20, "the server holds \(held) bytes")
            }
        }

        @Test("A stopping server completes a request, and its connection ends with GOAWAY")
        func draining() async throws {
            try await run("draining") { visitor, names, _ in
                _ = try await visitor.line { $0 == "running" }
                names.server.process.signal(SIGTERM)
                #expect(try await names.server.process.exitStatus() == .exited(0))
            }
        }
    }
}
