import Crypto
import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// `-W`: standard input and output are the stream.
    @Suite(.serialized)
    struct ForwardStdioTests {
        @Test("Standard output of -W has the bytes of the destination and nothing else")
        func echo() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let server = try await scenario.server(allowing: ["127.0.0.1:\(echo.port)"])
                let input = try InputPipe()
                let stdio = try scenario.stdio(server.url, to: "127.0.0.1:\(echo.port)", .pipe(input))
                for round in 1...3 {
                    try input.send("ping")
                    try await eventually("the echo arrives") { stdio.bytes.count == 4 * round }
                }
                input.finish()
                #expect(try await stdio.process.exitStatus() == .exited(0), "\(stdio.process)")
                #expect(String(decoding: stdio.bytes, as: UTF8.self) == "pingpingping")
            }
        }

        @Test("After the end of standard input, the destination gets FIN, and what it sends then is complete")
        func inputEndsFirst() async throws {
            try await Scenario.run { scenario in
                let answer = randomBytes(8_000_000)
                let requests = Mailbox<[UInt8]>()
                let service = try TCPService { socket in
                    requests.put(try socket.receiveToEnd())
                    try socket.send(answer)
                    try socket.finishSending()
                }
                let server = try await scenario.server(allowing: ["127.0.0.1:\(service.port)"])
                let input = try InputPipe()
                let stdio = try scenario.stdio(server.url, to: "127.0.0.1:\(service.port)", .pipe(input))
                try input.send("request")
                input.finish()
                #expect(try await requests.next("the service gets FIN") == Array("request".utf8))
                #expect(try await stdio.process.exitStatus() == .exited(0), "\(stdio.process)")
                #expect(stdio.bytes == answer)
            }
        }

        /// A service that sends a line and FIN, and then reads to the end.
        private static func banner(_ uploads: Mailbox<[UInt8]>) throws -> TCPService {
            try TCPService { socket in
                try socket.send("banner\n")
                try socket.finishSending()
                uploads.put(try socket.receiveToEnd())
            }
        }

        /// A client with `-W`, once its standard output has ended.
        private static func clientAfterFIN(
            _ url: String,
            _ service: TCPService,
            _ input: InputPipe,
            in scenario: Scenario
        ) async throws -> ChildProcess {
            let client = try scenario.culvert(
                "client",
                scenario.stdioArguments(url, "127.0.0.1:\(service.port)"),
                input: .pipe(input)
            )
            try await eventually("standard output ends", found: { "\(client)" }) { client.output.isComplete }
            return client
        }

        @Test("After the destination's FIN, standard output ends at once, and standard input is carried to its end")
        func serviceEndsFirst() async throws {
            try await Scenario.run { scenario in
                let uploads = Mailbox<[UInt8]>()
                let service = try Self.banner(uploads)
                let server = try await scenario.server(allowing: ["127.0.0.1:\(service.port)"])
                let input = try InputPipe()
                let client = try await Self.clientAfterFIN(server.url, service, input, in: scenario)
                #expect(client.output.lines == ["banner"])
                #expect(client.exitStatus == nil, "\(client)")
                let upload = randomBytes(16_000_000)
                try await onThread { try input.send(upload) }
                input.finish()
                #expect(try await client.exitStatus() == .exited(0), "\(client)")
                let received = try await uploads.next("the upload is complete")
                #expect(received == upload, "\(received.count) bytes of \(upload.count) arrived")
            }
        }

        @Test("The last bytes of standard input reach a destination that has sent FIN, although the server pauses")
        func lastBytes() async throws {
            try await Scenario.run { scenario in
                let uploads = Mailbox<[UInt8]>()
                let service = try Self.banner(uploads)
                let server = try await scenario.server(allowing: ["127.0.0.1:\(service.port)"])
                let input = try InputPipe()
                let client = try await Self.clientAfterFIN(server.url, service, input, in: scenario)
                server.process.signal(SIGSTOP)
                // Fewer bytes than the client takes without an answer from the server.
                let upload = randomBytes(200_000)
                try await onThread { try input.send(upload) }
                input.finish()
                try await eventually("the client has read its input") { input.isDrained }
                server.process.signal(SIGCONT)
                #expect(try await client.exitStatus() == .exited(0), "\(client)")
                let received = try await uploads.next("the upload is complete")
                #expect(received == upload, "\(received.count) bytes of \(upload.count) arrived")
            }
        }

        @Test(
            "A large standard input arrives complete, from a regular file and from a pipe",
            arguments: ["file", "pipe"]
        )
        func largeInput(_ kind: String) async throws {
            try await Scenario.run { scenario in
                let service = try TCPService { socket in
                    var hash = SHA256()
                    while case let bytes = try socket.receive(), !bytes.isEmpty { hash.update(data: bytes) }
                    try socket.send(Array(hash.finalize()))
                    try socket.finishSending()
                }
                let server = try await scenario.server(allowing: ["127.0.0.1:\(service.port)"])
                let upload = randomBytes(TestRun.isHeavy ? 400_000_000 : 24_000_000)
                let pipe = try InputPipe()
                let file = "\(scenario.directory)/input"
                if kind == "file" { try Data(upload).write(to: URL(fileURLWithPath: file)) }
                let stdio = try scenario.stdio(
                    server.url,
                    to: "127.0.0.1:\(service.port)",
                    kind == "file" ? .file(file) : .pipe(pipe)
                )
                if kind == "pipe" {
                    try await onThread { try pipe.send(upload) }
                    pipe.finish()
                }
                #expect(try await stdio.process.exitStatus(within: .seconds(60)) == .exited(0), "\(stdio.process)")
                #expect(stdio.bytes == Array(SHA256.hash(data: upload)))
            }
        }

        @Test("A reader that closes standard output resets the connection of the destination, and ends the client")
        func closedOutput() async throws {
            try await Scenario.run { scenario in
                let endings = Mailbox<SocketError>()
                let service = try TCPService { socket in
                    do {
                        while true { try socket.send(randomBytes(65_536)) }
                    } catch let error as SocketError {
                        endings.put(error)
                    }
                }
                let server = try await scenario.server(allowing: ["127.0.0.1:\(service.port)"])
                let input = try InputPipe()
                let shell = try scenario.start(
                    "shell",
                    "/bin/sh",
                    ["-c", "\"$@\" | head -c 100000 | wc -c", "sh", CulvertExecutable.path()]
                        + scenario.stdioArguments(server.url, "127.0.0.1:\(service.port)"),
                    input: .pipe(input)
                )
                #expect(try await shell.exitStatus() == .exited(0), "\(shell)")
                #expect(shell.output.lines.map { $0.filter(\.isNumber) } == ["100000"])
                let ending = try await endings.next("the service's connection ends")
                #expect(ending == .reset || ending == .broken, "\(ending)")
                input.finish()
            }
        }

        @Test("Eight clients with -W and one with -R share a token, and none displaces another")
        func manyAtATime() async throws {
            try await Scenario.run { scenario in
                let (echo, web) = (try TCPService.echo(), try TCPService.web(page: "the tunnel"))
                let server = try await scenario.server(allowing: ["127.0.0.1:\(echo.port)"])
                let client = try scenario.client(server.url, ["0:127.0.0.1:\(web.port)"])
                let tunnel = try await client.tunnel(to: web.port)
                let running = try (1...8).map { number in
                    let input = try InputPipe()
                    let stdio = try scenario.stdio(
                        server.url,
                        to: "127.0.0.1:\(echo.port)",
                        .pipe(input),
                        named: "client \(number)"
                    )
                    return (input: input, stdio: stdio)
                }
                for (index, (input, _)) in running.enumerated() { try input.send("client \(index)") }
                for (index, (_, stdio)) in running.enumerated() {
                    try await eventually("the echo arrives", found: { "\(stdio.process)" }) {
                        stdio.bytes == Array("client \(index)".utf8)
                    }
                }
                try await expectPage("the tunnel", through: tunnel)
                for (input, stdio) in running {
                    #expect(stdio.process.exitStatus == nil, "\(stdio.process)")
                    try input.send(", again")
                    input.finish()
                }
                for (index, (_, stdio)) in running.enumerated() {
                    #expect(try await stdio.process.exitStatus() == .exited(0), "\(stdio.process)")
                    #expect(stdio.bytes == Array("client \(index), again".utf8))
                }
                try await expectPage("the tunnel", through: tunnel)
                #expect(echo.accepted == 8)
                await client.process.end()
                #expect(client.process.output.lines.count == 1)
                #expect(client.process.errors.lines.count { $0.contains("session opened") } == 1, "\(client.process)")
            }
        }
    }
}
