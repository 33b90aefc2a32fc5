import ClientHello
import NIOCore
import TestSupport
import Testing

@Suite("Alerts before a handshake")
struct TLSAlertTests {
    @Test("An alert is a plain record with level fatal and its number")
    func record() {
        #expect(Array(buffer: TLSAlert.unrecognizedName.record) == [0x15, 3, 3, 0, 2, 2, 112])
        #expect(TLSAlert.allCases.map(\.rawValue) == [10, 22, 40, 47, 50, 80, 112, 120])
    }

    @Test("A client that speaks TLS is answered, and others are not")
    func answers() {
        #expect(ClientHelloError.notTLS.answer == nil)
        #expect(ClientHelloError.alert.answer == nil)
        #expect(ClientHelloError.malformed(.serverName).answer == .decodeError)
        #expect(ClientHelloError.recordTooLong.answer == .recordOverflow)
        #expect(ClientHelloError.notClientHello.answer == .unexpectedMessage)
    }

    @Test("OpenSSL's client, whose hello is read as it arrives, reports each alert by its number")
    func realClient() async throws {
        try await Scenario.run { scenario in
            for alert in TLSAlert.allCases {
                let names = Mailbox<String?>()
                let service = try TCPService { socket in
                    var reader = ClientHelloReader()
                    var hello: ClientHello?
                    while hello == nil {
                        let bytes = try socket.receive(upTo: 100)
                        guard !bytes.isEmpty else { return }
                        hello = try reader.receive(ByteBuffer(bytes: bytes).readableBytesView)
                    }
                    names.put(hello?.serverName)
                    try socket.send(Array(buffer: alert.record))
                    try socket.finishSending()
                    _ = try socket.receiveToEnd()
                }
                let client = try scenario.start(
                    "openssl",
                    Program.openssl.required(),
                    ["s_client", "-connect", "127.0.0.1:\(service.port)", "-servername", "live.example.com"]
                )
                #expect(try await names.next("the hello") == "live.example.com")
                #expect(try await client.exitStatus(within: .seconds(30)) == .exited(1))
                let isReported = client.errors.lines.contains { $0.hasSuffix("SSL alert number \(alert.rawValue)") }
                #expect(isReported, "\(client)")
            }
        }
    }
}
