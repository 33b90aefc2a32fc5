import HTTP1
import NIOCore
import TestSupport
import Testing

@testable import WebSocket

/// Pins the handshake and the messages byte for byte.
@Suite("Transcripts of the WebSocket") struct TranscriptTests {
    private static let key = Array("the sample nonce".utf8)

    private func compare(_ lines: [String], with name: String) throws {
        let path = "websocket/transcripts/\(name).transcript"
        let difference = try GoldenFile.difference(of: lines, from: path)
        #expect(difference == nil, "\(difference ?? "")")
    }

    /// A title, and the head's lines with their line ends as text.
    private func lines(_ head: ByteBuffer, _ title: String) -> [String] {
        var text = String.UnicodeScalarView()
        for byte in head.readableBytesView {
            text.append(contentsOf: byte == 0x0D ? "\\r".unicodeScalars : String(UnicodeScalar(byte)).unicodeScalars)
        }
        return ["# \(title)"] + String(text).split(separator: "\n").map { "\($0)\\n" }
    }

    private func request(deflate: DeflateOptions?) throws -> RequestHead {
        try ClientUpgrade(
            authority: "tunnel.example.com:8443",
            path: "/tunnel?a=b",
            subprotocols: ["culvert-tunnel.v1"],
            fields: HeaderFields([("User-Agent", "culvert/1.2.3"), ("X-Extra", "yes")]),
            deflate: deflate,
            key: Self.key
        ).request()
    }

    @Test("the upgrade request and its answers, plain, compressed and refused")
    func handshake() throws {
        var all: [String] = []
        for (name, options) in [("plain", nil), ("compressed", DeflateOptions()), ("isolated", .isolated)] {
            let head = try request(deflate: options)
            var bytes = ByteBuffer()
            try head.serialize(into: &bytes)
            all += lines(bytes, "request, \(name)")
            let server = ServerUpgrade(path: "/tunnel", subprotocols: ["culvert-tunnel.v1"], deflate: options)
            all += try answer(server, to: head, "answer, \(name)")
        }
        let head = try request(deflate: DeflateOptions())
        all += try answer(ServerUpgrade(path: "/tunnel"), to: head, "answer of a server without deflate")
        all += try answer(ServerUpgrade(path: "/other"), to: head, "answer at another path")
        let plain = RequestHead(
            method: "GET",
            target: "/tunnel",
            version: .http1_1,
            fields: try HeaderFields([("Host", "tunnel.example.com")])
        )
        all += try answer(ServerUpgrade(path: "/tunnel"), to: plain, "answer to a request without an upgrade")
        try compare(all, with: "handshake")
    }

    private func answer(_ server: ServerUpgrade, to head: RequestHead, _ title: String) throws -> [String] {
        var bytes = ByteBuffer()
        switch server.answer(head, hasLeftovers: false) {
        case .accept(let head, _): try head.serialize(into: &bytes)
        case .refuse(let head, let body, _):
            try head.serialize(into: &bytes)
            bytes.writeString(body)
        }
        return lines(bytes, title)
    }

    @Test("a frame of the session is one binary message: unmasked from the server, masked from the client")
    func messages() throws {
        var all: [String] = []
        for role in [WebSocketRole.server, .client] {
            var connection = Connection(role: role, masks: MaskSource(generator: FixedGenerator()))
            // Frame header and payload, on both sides of the lengths at which the message's header grows.
            for length in [0, 1, 117, 118, 65_527, 65_528, 65_536] {
                let prefix = buffer(hex("2200000000000002"))
                // The payload of both roles is zero on the wire, since the file abbreviates zeros.
                let zeros = [UInt8](repeating: 0, count: length)
                let payload = role == .client ? naiveMask(zeros, hex("37fa213d")) : zeros
                var out = ByteBuffer()
                try connection.encodeMessage(.binary, prefix: prefix, payload: buffer(payload), into: &out)
                all.append("\(role) DATA 2 of \(length): \(WireText.hexadecimal(out.readableBytesView))")
                guard role == .server else { continue }
                var head = ByteBuffer()
                try connection.encodeMessageHead(.binary, prefix: prefix, payloadLength: length, into: &head)
                all.append("\(role) head alone: \(WireText.hexadecimal(head.readableBytesView))")
            }
        }
        try compare(all, with: "messages")
    }

    @Test("control frames of both ends: an answered ping, a close with its reason, and its answer")
    func control() throws {
        var all: [String] = []
        for role in [WebSocketRole.server, .client] {
            var connection = Connection(role: role, masks: MaskSource(generator: FixedGenerator()))
            func note(_ title: String) {
                let output = connection.takeOutput()
                all.append("\(role) \(title): \(WireText.hexadecimal(output?.readableBytesView ?? ByteBufferView()))")
            }
            try connection.ping(buffer("are you there"))
            note("ping")
            let ping = role == .client ? hex("8902 6869") : masked(0x89, "hi")
            connection.receive(buffer(ping))
            _ = try connection.nextEvent()
            note("pong")
            connection.close(.goingAway, reason: "another carrier has taken over")
            note("close")
            var answering = Connection(role: role, masks: MaskSource(generator: FixedGenerator()))
            answering.receive(buffer(role == .client ? hex("8802 03e9") : masked(0x88, hex("03e9"))))
            _ = try answering.nextEvent()
            let answer = answering.takeOutput()?.readableBytesView ?? ByteBufferView()
            all.append("\(role) answer to a close: \(WireText.hexadecimal(answer))")
        }
        try compare(all, with: "control")
    }
}
