import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// `-L`: each end of a connection sees the bytes, FIN, RST and refusal of the other end.
    @Suite(.serialized)
    struct ForwardTests {
        @Test("-L prints one line with the local port and the destination, and carries bytes both ways")
        func line() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let local = try FreePorts.next()
                let server = try await scenario.server(allowing: ["127.0.0.1:\(echo.port)"])
                let client = try scenario.client(
                    server.url,
                    [],
                    options: ["-L", "\(local):127.0.0.1:\(echo.port)"]
                )
                #expect(try await client.forward(to: "127.0.0.1:\(echo.port)") == local)
                try await expectEcho(through: local)
                #expect(client.process.output.lines == ["forward 127.0.0.1:\(local) -> 127.0.0.1:\(echo.port)"])
            }
        }

        @Test("A client with -L and one with -R and the same identity run beside each other")
        func besideTunnel() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let destination = "127.0.0.1:\(echo.port)"
                let server = try await scenario.server(allowing: [destination])
                let publishing = try scenario.client(server.url, ["0:\(destination)"])
                let tunnel = try await publishing.tunnel(to: echo.port)
                let running = try TCPSocket(port: tunnel)
                try running.requireEcho("before")
                let client = try scenario.client(server.url, [], options: ["-L", "0:\(destination)"])
                try await expectEcho(through: client.forward(to: destination))
                try running.requireEcho("after")
                running.close()
                try await expectEcho(through: tunnel)
                for process in [publishing.process, client.process] {
                    await process.end()
                    #expect(process.errors.lines.count { $0.contains("session opened") } == 1, "\(process)")
                }
            }
        }

        @Test("The half-close of a program reaches the service, and the later reply is complete")
        func programHalfCloses() async throws {
            try await Scenario.run { scenario in
                let service = try TCPService.answerAfterEnd()
                let (_, _, port) = try await scenario.forward(to: service)
                let request = randomBytes(3_000_000)
                let response = try await onThread {
                    let program = try TCPSocket(port: port)
                    try program.send(request)
                    try program.finishSending()
                    return try program.receiveToEnd()
                }
                #expect(response == Array("\(request.count)\n".utf8) + request)
            }
        }

        @Test("The half-close of a service reaches the program, and its later upload is complete")
        func serviceHalfCloses() async throws {
            try await Scenario.run { scenario in
                let uploads = Mailbox<[UInt8]>()
                let service = try TCPService { socket in
                    try socket.send("all bytes of the service")
                    try socket.finishSending()
                    uploads.put(try socket.receiveToEnd())
                }
                let (_, _, port) = try await scenario.forward(to: service)
                let upload = randomBytes(3_000_000)
                try await onThread {
                    let program = try TCPSocket(port: port)
                    let banner = String(decoding: try program.receiveToEnd(), as: UTF8.self)
                    try require(banner == "all bytes of the service", banner)
                    try program.send(upload)
                    try program.finishSending()
                }
                let received = try await uploads.next("the upload arrives")
                #expect(received == upload)
            }
        }

        @Test(
            "The end of a program's connection is RST at the service after RST, and FIN after FIN",
            arguments: [true, false]
        )
        func programEnds(byReset: Bool) async throws {
            try await Scenario.run { scenario in
                let endings = Mailbox<TCPSocket.Ending>()
                let service = try TCPService { socket in
                    try socket.send("hello")
                    endings.put(try socket.drain().ending)
                }
                let (_, _, port) = try await scenario.forward(to: service)
                let program = try await onThread {
                    let program = try TCPSocket(port: port)
                    try program.send("something")
                    _ = try program.receive(exactly: 5)
                    if byReset { program.abort() } else { try program.finishSending() }
                    return program
                }
                let ending = try await endings.next("the service sees the end")
                #expect(ending == (byReset ? .reset : .end))
                program.close()
            }
        }

        @Test(
            "The end of a service's connection is RST at the program after RST, and FIN after FIN",
            arguments: [true, false]
        )
        func serviceEnds(byReset: Bool) async throws {
            try await Scenario.run { scenario in
                let service = try TCPService { socket in
                    _ = try socket.receive(exactly: 5)
                    try socket.send("last bytes")
                    if byReset { socket.abort() } else { try socket.finishSending() }
                    _ = try? socket.drain()
                }
                let (_, _, port) = try await scenario.forward(to: service)
                let (bytes, ending) = try await onThread {
                    let program = try TCPSocket(port: port)
                    try program.send("hello")
                    return try program.drain()
                }
                #expect(ending == (byReset ? .reset : .end))
                #expect(byReset || String(decoding: bytes, as: UTF8.self) == "last bytes")
            }
        }

        @Test("A destination without a rule resets the program, and the server's log has the refusal")
        func notAllowed() async throws {
            try await Scenario.run { scenario in
                let (allowed, other) = (try TCPService.echo(), try TCPService.echo())
                let server = try await scenario.server(allowing: ["127.0.0.1:\(allowed.port)"])
                let options = [allowed, other].flatMap { ["-L", "0:127.0.0.1:\($0.port)"] }
                let client = try scenario.client(server.url, [], options: options)
                try await expectReset(at: client.forward(to: "127.0.0.1:\(other.port)"))
                let line = try await server.process.logLine { $0.contains("destination refused") }
                expect(line, says: "127.0.0.1:\(other.port)", "allow_connect")
                try await expectEcho(through: client.forward(to: "127.0.0.1:\(allowed.port)"))
                #expect(other.accepted == 0)
            }
        }

        @Test("A server without --allow-connect connects to nothing")
        func denied() async throws {
            try await Scenario.run { scenario in
                let echo = try TCPService.echo()
                let server = try await scenario.server()
                let client = try scenario.client(server.url, [], options: ["-L", "0:127.0.0.1:\(echo.port)"])
                try await expectReset(at: client.forward(to: "127.0.0.1:\(echo.port)"))
                _ = try await server.process.logLine { $0.contains("destination refused") }
                #expect(echo.accepted == 0)
            }
        }

        @Test("A port that refuses connections resets the program, and a service that starts later is reached")
        func refused() async throws {
            try await Scenario.run { scenario in
                let unused = try FreePorts.next()
                let server = try await scenario.server(allowing: ["127.0.0.1:\(unused)"])
                let client = try scenario.client(server.url, [], options: ["-L", "0:127.0.0.1:\(unused)"])
                let port = try await client.forward(to: "127.0.0.1:\(unused)")
                for _ in 0..<3 { try await expectReset(at: port) }
                let line = try await server.process.logLine { $0.contains("destination cannot be reached") }
                expect(line, says: "127.0.0.1:\(unused)", "refused")
                _ = try TCPService.echo(port: unused)
                try await expectEcho(through: port)
            }
        }
    }
}
