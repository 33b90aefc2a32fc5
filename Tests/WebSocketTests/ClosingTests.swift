import Testing

@testable import WebSocket

/// The closing handshake and control frames, W19 to W30 (RFC 6455, sections 5.5 and 7).
@Suite struct ClosingTests {
    @Test("each control frame has its events and its answer", arguments: rows)
    func closeFrame(row: Row) {
        row.check()
    }

    static let rows: [Row] = [
        Row(
            name: "a Close without a code",
            role: .server,
            bytes: masked(0x88, ""),
            events: [.close(nil, reason: "")],
            output: hex("8800")
        ),
        Row(
            name: "a Close with code and reason is answered with its code",
            role: .server,
            bytes: masked(0x88, hex("03e8") + Array("bye €".utf8)),
            events: [.close(.normal, reason: "bye €")],
            output: hex("8802 03e8")
        ),
        Row(
            name: "a client answers masked",
            role: .client,
            bytes: hex("8802 03e9"),
            events: [.close(.goingAway, reason: "")],
            output: hex("8882 37fa213d 3413")
        ),
        Row(name: "W19 a Close with one byte", role: .client, bytes: hex("8801 03"), error: .truncatedCloseCode),
        Row(
            name: "W21 a reason that is not UTF-8",
            role: .client,
            bytes: hex("8804 03e8 c328"),
            error: .invalidCloseReason
        ),
        Row(
            name: "W21 a reason that ends within a scalar",
            role: .client,
            bytes: hex("8803 03e8 c3"),
            error: .invalidCloseReason
        ),
        Row(
            name: "W21 a reason of 123 bytes",
            role: .client,
            bytes: hex("887d 03e8") + [UInt8](repeating: 0x61, count: 123),
            events: [.close(.normal, reason: String(repeating: "a", count: 123))]
        ),
        Row(
            name: "W21 a reason of 124 bytes",
            role: .client,
            bytes: hex("887e007e 03e8"),
            error: .oversizedControlFrame
        ),
        Row(
            name: "W23 bytes after Close are ignored, whatever they are",
            role: .server,
            bytes: masked(0x88, hex("03e8")) + masked(0x89, "x") + masked(0x82, [1]) + hex("ff ff ff"),
            events: [.close(.normal, reason: "")],
            output: hex("8802 03e8")
        ),
        Row(
            name: "W24 two Close frames get one answer",
            role: .server,
            bytes: masked(0x88, hex("03e8")) + masked(0x88, hex("03e9")),
            events: [.close(.normal, reason: "")],
            output: hex("8802 03e8")
        ),
        Row(
            name: "W30 a ping of 125 bytes is echoed exactly",
            role: .server,
            bytes: masked(0x89, (0..<125).map { UInt8($0) }),
            events: [.ping(buffer((0..<125).map { UInt8($0) }))],
            output: hex("8a7d") + (0..<125).map { UInt8($0) }
        ),
        Row(
            name: "W29 an unsolicited pong is an event without an answer",
            role: .client,
            bytes: hex("8a01 07"),
            events: [.pong(buffer([7]))],
            output: []
        ),
        Row(
            name: "W28 pings beyond the queue of unsent pongs end the connection",
            role: .server,
            bytes: masked(0x89, "ab") + masked(0x89, "cd") + masked(0x89, ""),
            events: [.ping(buffer("ab")), .ping(buffer("cd"))],
            error: .controlQueueFull,
            output: hex("8a02 6162 8a02 6364 8802 03f0"),
            limits: WebSocketLimits(maximumQueuedControlBytes: 9)
        ),
        Row(
            name: "W27 ten pings are answered with ten pongs",
            role: .server,
            bytes: (0..<10).flatMap { masked(0x89, [$0]) },
            events: (0..<10).map { .ping(buffer([$0])) },
            output: (0..<10).flatMap { [0x8A, 1, $0] }
        ),
    ]

    @Test("W20 a Close code that may not be sent is a protocol error, and any other is accepted")
    func codes() {
        let valid = Set(Array(1000...1003) + Array(1007...1014) + Array(3000...4999))
        for number in UInt16.min...UInt16.max {
            let code = CloseCode(rawValue: number)
            #expect(code.isValidOnWire == valid.contains(Int(number)))
        }
        for number: UInt16 in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535] {
            let frame = [0x88, 2, UInt8(number >> 8), UInt8(number & 0xFF)]
            #expect(feed([frame], .client).error == .invalidCloseCode(CloseCode(rawValue: number)))
        }
        for number: UInt16 in [1000, 1003, 1007, 1014, 3000, 4999] {
            let frame = [0x88, 2, UInt8(number >> 8), UInt8(number & 0xFF)]
            #expect(feed([frame], .client).events == [.close(CloseCode(rawValue: number), reason: "")])
        }
    }

    @Test("W22 a reason to send is truncated between two scalars, to at most 123 bytes")
    func longReason() throws {
        for (reason, count) in [
            (String(repeating: "a", count: 123), 123), (String(repeating: "a", count: 124), 123),
            (String(repeating: "€", count: 50), 123), ("a" + String(repeating: "€", count: 50), 121),
            (String(repeating: "🌍", count: 40), 120), ("", 0),
        ] {
            var connection = Connection(role: .server)
            connection.close(.goingAway, reason: reason)
            let taken = connection.takeOutput()
            let bytes = try #require(taken)
            #expect(bytes.readableBytes == 4 + count)
            let outcome = feed([Array(bytes.readableBytesView)], .client)
            #expect(
                outcome.events == [
                    .close(.goingAway, reason: String(decoding: reason.utf8.prefix(count), as: UTF8.self))
                ]
            )
        }
    }

    @Test("W24 Closes that cross end the connection cleanly, with one Close from each end")
    func crossing() throws {
        var connection = Connection(role: .server)
        connection.close(.goingAway, reason: "x")
        connection.close(.normal)
        let sent = connection.takeOutput()
        #expect(sent == buffer(hex("8803 03e9 78")))
        connection.receive(buffer(masked(0x82, [9]) + masked(0x89, "p") + masked(0x88, hex("03e8"))))
        var outcome = Outcome()
        connection.drain(into: &outcome)
        #expect(outcome.events == [binary([9]), .ping(buffer("p")), .close(.normal, reason: "")])
        let more = connection.takeOutput()
        #expect(more == nil)
        #expect(connection.isClosed && connection.closeSent && connection.closeReceived)
        let isClean = connection.inputClosed()
        #expect(isClean)
    }

    @Test("a Close omits a code that may not be sent, and the reason with it")
    func unsendableCode() {
        for code in [nil, CloseCode.noStatus, .abnormal, .tlsHandshake, CloseCode(rawValue: 7)] {
            var connection = Connection(role: .server)
            connection.close(code, reason: "why")
            let sent = connection.takeOutput()
            #expect(sent == buffer(hex("8800")))
        }
    }

    @Test("W26 the end of the input without a Close is not a clean end")
    func abruptEnd() throws {
        var fresh = Connection(role: .client)
        let isClean = fresh.inputClosed()
        #expect(!isClean)
        #expect(fresh.isClosed && !fresh.isOpen)
        let isStillClean = fresh.inputClosed()
        #expect(!isStillClean)

        var halfway = Connection(role: .client)
        halfway.close(.normal)
        let isClosed = halfway.isClosed
        #expect(!isClosed)
        let isCleanHalfway = halfway.inputClosed()
        #expect(!isCleanHalfway)

        var failed = Connection(role: .client)
        failed.receive(buffer(hex("ff")))
        #expect(throws: WebSocketError.reservedBits) { try failed.nextEvent() }
        let event = try failed.nextEvent()
        #expect(event == nil)
        #expect(failed.isClosed && failed.closeSent)
        let isCleanAfterError = failed.inputClosed()
        #expect(!isCleanAfterError)
    }

    @Test("an error after this end's Close sends no second Close")
    func errorWhileClosing() {
        var connection = Connection(role: .server)
        connection.close(.normal)
        _ = connection.takeOutput()
        connection.receive(buffer(hex("ff")))
        #expect(throws: WebSocketError.reservedBits) { try connection.nextEvent() }
        let sent = connection.takeOutput()
        #expect(sent == nil)
    }

    @Test("no frame is sent after a Close")
    func sendingAfterClose() {
        var connection = Connection(role: .server)
        connection.close(.normal)
        var out = buffer("")
        #expect(throws: WebSocketError.notOpen) {
            try connection.encodeMessage(.binary, payload: buffer("x"), into: &out)
        }
        #expect(throws: WebSocketError.notOpen) {
            try connection.encodeMessageHead(.binary, payloadLength: 1, into: &out)
        }
        #expect(throws: WebSocketError.notOpen) { try connection.ping() }
        #expect(out.readableBytes == 0)
    }
}
