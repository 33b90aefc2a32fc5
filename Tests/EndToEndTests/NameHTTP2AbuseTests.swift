import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// Visitors of host names that write frames of HTTP/2 by themselves.
    @Suite(.serialized)
    struct NameHTTP2AbuseTests {
        /// Sends one request without its end, and data. Prints the status, the bytes of the answer and its end.
        private static let visitor = """
            import socket, ssl, struct, sys
            port, method, more = int(sys.argv[1]), sys.argv[2], sys.argv[3].encode()
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.set_alpn_protocols(["h2"])
            raw = socket.create_connection(("127.0.0.1", port), 20)
            s = context.wrap_socket(raw, server_hostname="app.example.test")

            def frame(kind, flags, stream, payload):
                return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload

            def field(name, value):
                return bytes([0, len(name)]) + name + bytes([len(value)]) + value

            request = field(b":method", method.encode()) + field(b":scheme", b"https") + field(b":path", b"/first")
            request += field(b":authority", b"app.example.test")
            if method == "CONNECT":
                request += field(b":protocol", b"websocket") + field(b"sec-websocket-version", b"13")
            s.sendall(b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n" + frame(4, 0, 0, b""))

            def exactly(count):
                result = b""
                while len(result) < count:
                    part = s.recv(count - len(result))
                    if not part:
                        sys.exit("closed")
                    result += part
                return result

            count, ended, heads = 0, False, 0
            while True:
                head = exactly(9)
                size, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
                stream, payload = int.from_bytes(head[5:], "big"), exactly(size)
                if kind == 4 and not flags & 1:
                    s.sendall(frame(4, 1, 0, b"") + frame(1, 4, 1, request) + frame(0, 0, 1, more))
                if stream != 1:
                    continue
                if kind == 1:
                    heads += 1
                if kind == 0:
                    count += size
                    if size:
                        s.sendall(frame(8, 0, 0, struct.pack(">I", size)) + frame(8, 0, 1, struct.pack(">I", size)))
                if kind in (0, 1) and flags & 1:
                    ended = True
                if kind == 3:
                    print(heads, "heads,", count, "bytes,", "whole," if ended else "cut,", "reset", payload[3])
                    break
            """

        private func visit(
            _ service: TCPService,
            _ scenario: Scenario,
            _ method: String,
            _ data: String
        ) async throws -> String {
            let certificate = try await Certificate.make(in: scenario, for: "DNS:*.example.test")
            let file = "\(scenario.directory)/server.toml"
            let lines = "[[certificate]]\ncertificate = \"\(certificate.certificate)\"\nkey = \"\(certificate.key)\"\n"
            try scenario.write(lines, to: file)
            let names = try await NameServer.start(in: scenario, options: ["--config", file], https: true)
            let client = try scenario.client(names.server.url, ["http:app:127.0.0.1:\(service.port)"])
            _ = try await client.name("app.example.test")
            return try await scenario.run(.python, ["-c", Self.visitor, "\(names.https)", method, data])
        }

        @Test(
            "Data behind a request for a WebSocket does not reach a service that refuses it",
            .needs(.python, .openssl)
        )
        func earlyData() async throws {
            let paths = Mailbox<String>()
            let service = try TCPService { socket in
                let connection = HTTPConnection(socket)
                while let request = try connection.request() {
                    paths.put(request.path)
                    try socket.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno")
                }
            }
            try await Scenario.run { scenario in
                let smuggled = "GET /second HTTP/1.1\r\nHost: app\r\n\r\n"
                let output = try await visit(service, scenario, "CONNECT", smuggled)
                #expect(output == "1 heads, 2 bytes, whole, reset 0")
                #expect(paths.all == ["/first"])
            }
        }

        @Test(
            "An answer that comes before the request's end is delivered whole, and the rest is refused behind it",
            .needs(.python, .openssl)
        )
        func earlyAnswer() async throws {
            let service = try TCPService { socket in
                _ = try socket.receive()
                try socket.send("HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\n")
                try socket.send([UInt8](repeating: UInt8(ascii: "x"), count: 400_000))
                _ = try socket.receiveToEnd()
            }
            try await Scenario.run { scenario in
                let output = try await visit(service, scenario, "POST", "some")
                #expect(output == "1 heads, 400000 bytes, whole, reset 0")
            }
        }
    }
}
