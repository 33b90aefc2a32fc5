import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// `-D` with PySocks, a SOCKS client library.
    @Suite(
        .serialized,
        .enabled(
            if: PySocks.interpreter != nil || TestRun.isCI,
            "not installed: PySocks (apt-get install \(PySocks.package))"
        )
    )
    struct ForwardSocksLibraryTests {
        @Test(
            "PySocks sends 8 MiB through -D, ends its direction, and reads them all back",
            arguments: [("5", "localhost"), ("5", "127.0.0.1"), ("4", "localhost"), ("4", "127.0.0.1")]
        )
        func stream(_ version: String, _ host: String) async throws {
            try await Scenario.run { scenario in
                let service = try TCPService.answerAfterEnd()
                let script = """
                    data = os.urandom(8 << 20)
                    stream.connect((host, port))
                    sending = threading.Thread(target=lambda: (stream.sendall(data), stream.shutdown(socket.SHUT_WR)))
                    sending.start()
                    answer = b"".join(iter(lambda: stream.recv(65536), b""))
                    print(answer == b"%d\\n" % len(data) + data)
                    """
                let output = try await Self.run(
                    script,
                    version,
                    (host, service.port),
                    allowing: "localhost:\(service.port)",
                    in: scenario
                )
                #expect(output == "True\n")
            }
        }

        @Test(
            "PySocks reports why a destination is not reached",
            arguments: [
                ("5", false, "0x02: Connection not allowed by ruleset"), ("5", true, "0x05: Connection refused"),
                ("4", false, "0x5b: Request rejected or failed"), ("4", true, "0x5b: Request rejected or failed"),
            ]
        )
        func failure(_ version: String, _ isAllowed: Bool, _ reason: String) async throws {
            try await Scenario.run { scenario in
                let unused = try FreePorts.next()
                let script = """
                    try:
                        stream.connect((host, port))
                    except socks.ProxyError as error:
                        print(error)
                    """
                let output = try await Self.run(
                    script,
                    version,
                    ("127.0.0.1", unused),
                    allowing: "127.0.0.1:\(isAllowed ? unused : 9)",
                    in: scenario
                )
                #expect(output.contains(reason), "\(output)")
            }
        }

        @Test(
            "PySocks sends datagrams through -D, and learns whose answers it gets",
            arguments: ["localhost", "127.0.0.1"]
        )
        func datagrams(_ host: String) async throws {
            try await Scenario.run { scenario in
                let service = try UDPSocket()
                Thread.detachNewThread {
                    while let (bytes, _, source) = try? service.receive() { try? service.send(bytes, to: source) }
                }
                let script = """
                    flow = socks.socksocket(socket.AF_INET, socket.SOCK_DGRAM)
                    flow.settimeout(20)
                    flow.set_proxy(socks.SOCKS5, "127.0.0.1", proxy, rdns=True)
                    for size in (0, 1200, 60000):
                        data = os.urandom(size)
                        flow.sendto(data, (host, port))
                        answer, sender = flow.recvfrom(65536)
                        print(answer == data, sender[1] == port)
                    """
                let output = try await Self.run(
                    script,
                    "5",
                    (host, service.port),
                    allowing: "localhost:\(service.port)",
                    in: scenario
                )
                #expect(output == String(repeating: "True True\n", count: 3))
            }
        }

        /// Runs a script with `stream`, a socket that uses the SOCKS port, and the destination in `host` and `port`. Names are
        /// left to the proxy.
        ///
        /// - Returns: standard output.
        private static func run(
            _ script: String,
            _ version: String,
            _ destination: (host: String, port: UInt16),
            allowing rule: String,
            in scenario: Scenario
        ) async throws -> String {
            let server = try await scenario.server(allowing: [rule])
            let client = try scenario.client(server.url, [], options: ["-D", "0"])
            let proxy = try await client.socks()
            // Datagrams do not wait for a session.
            _ = try await client.process.logLine { $0.contains("session opened") }
            let head = """
                import os, socket, sys, threading, socks
                version, proxy, host, port = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
                stream = socks.socksocket()
                stream.settimeout(60)
                stream.set_proxy(socks.SOCKS5 if version == "5" else socks.SOCKS4, "127.0.0.1", proxy, rdns=True)

                """
            let interpreter = try #require(PySocks.interpreter, "apt-get install \(PySocks.package)")
            let python = try scenario.start(
                "pysocks",
                interpreter,
                ["-c", head + script, version, "\(proxy)", destination.host, "\(destination.port)"]
            )
            #expect(try await python.exitStatus(within: .seconds(60)) == .exited(0), "\(python)")
            return python.output.text + "\n"
        }
    }
}
