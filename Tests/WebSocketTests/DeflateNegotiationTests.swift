import HTTP1
import Testing

@testable import WebSocket

/// The negotiation of permessage-deflate, D1 to D5 (RFC 7692, sections 5 and 7.1).
@Suite struct DeflateNegotiationTests {
    /// The offers of a request, and the server's answer; nil if it declines all of them.
    struct Offer: CustomTestStringConvertible, Sendable {
        var name: String
        var values: [String]
        var answer: String?
        var options = DeflateOptions()

        var testDescription: String { name }

        init(_ name: String, _ values: String..., answer: String?, _ change: (inout DeflateOptions) -> Void = { _ in })
        {
            self.name = name
            self.values = values
            self.answer = answer
            change(&options)
        }
    }

    @Test("a server accepts the first offer that it can meet", arguments: offers)
    func server(test: Offer) {
        #expect(DeflateNegotiation.accept(test.values, test.options)?.answer == test.answer)
    }

    static let name = "permessage-deflate"

    static let offers: [Offer] =
        [
            Offer("RFC 7692 7.1: no parameters", name, answer: name),
            Offer("RFC 7692 7.1: a window is a hint", "\(name); client_max_window_bits", answer: name),
            Offer(
                "RFC 7692 7.1: a fallback after an offer",
                "\(name); client_max_window_bits; server_max_window_bits=10, \(name); client_max_window_bits",
                answer: "\(name); server_max_window_bits=10"
            ),
            Offer("no offer", answer: nil),
            Offer("another extension", "permessage-bzip2", answer: nil),
            Offer("another extension first", "foo; bar=1, \(name)", answer: name),
            Offer("in the second of two fields", "foo", name, answer: name),
            Offer("empty members", " , ,\(name),", answer: name),
            Offer("names have case", "Permessage-Deflate", answer: nil),
            Offer("blanks", "\(name)\t; server_max_window_bits = 12 ", answer: "\(name); server_max_window_bits=12"),
            Offer(
                "a quoted value",
                "\(name); server_max_window_bits=\"1\\2\"",
                answer: "\(name); server_max_window_bits=12"
            ),
            Offer(
                "no context takeover at both ends",
                "\(name); client_no_context_takeover; server_no_context_takeover",
                answer: "\(name); server_no_context_takeover; client_no_context_takeover"
            ),
            Offer(
                "a client's window with a value",
                "\(name); client_max_window_bits=10",
                answer: "\(name); client_max_window_bits=10"
            ),
            Offer(
                "D4 a client may compress with 8 bits, since zlib can inflate that",
                "\(name); client_max_window_bits=8",
                answer: "\(name); client_max_window_bits=8"
            ),
            Offer("D4 a server cannot compress with 8 bits", "\(name); server_max_window_bits=8", answer: nil),
            Offer("D4 the next offer is accepted", "\(name); server_max_window_bits=8, \(name)", answer: name),
            Offer("a server that does not keep its context", name, answer: "\(name); server_no_context_takeover") {
                $0.serverNoContextTakeover = true
            },
            Offer("a server with a smaller window", name, answer: "\(name); server_max_window_bits=11") {
                $0.serverMaxWindowBits = 11
            },
            Offer(
                "a client that requests a smaller window",
                "\(name); server_max_window_bits=10",
                answer: "\(name); server_max_window_bits=10"
            ) {
                $0.serverMaxWindowBits = 11
            },
            Offer(
                "a client that accepts a window for itself",
                "\(name); client_max_window_bits",
                answer: "\(name); client_max_window_bits=9"
            ) {
                $0.clientMaxWindowBits = 9
            },
            Offer("a client that does not", name, answer: name) { $0.clientMaxWindowBits = 9 },
            Offer("D2 an unknown parameter", "\(name); foo", answer: nil),
            Offer(
                "D2 a parameter twice",
                "\(name); client_no_context_takeover; client_no_context_takeover",
                answer: nil
            ),
            Offer("D2 a window twice", "\(name); server_max_window_bits=10; server_max_window_bits=10", answer: nil),
            Offer("D2 a value for a parameter without one", "\(name); server_no_context_takeover=1", answer: nil),
            Offer("D2 the same for the client's parameter", "\(name); client_no_context_takeover=true", answer: nil),
            Offer("D2 a missing value", "\(name); server_max_window_bits", answer: nil),
            Offer(
                "D2 the next valid offer is accepted",
                "\(name); foo, \(name); client_no_context_takeover; foo=1, \(name)",
                answer: name
            ),
        ]
        + wrongBits.flatMap { bits in
            [
                Offer("D3 server_max_window_bits=\(bits)", "\(name); server_max_window_bits=\(bits)", answer: nil),
                Offer("D3 client_max_window_bits=\(bits)", "\(name); client_max_window_bits=\(bits)", answer: nil),
            ]
        }
        + ["", ";", "=", "\(name);", "\(name); =1", "\(name) x", "\(name); a=\"", "\(name); a=\"\\", "\(name); ä=1"].map
    {
        Offer("H27 grammar: \($0)", $0, answer: nil)
    }
        + [
            Offer("more members than are read", Array(repeating: name, count: 17).joined(separator: ","), answer: nil),
            Offer("more parameters than are read", name + String(repeating: "; foo", count: 17), answer: nil),
        ]

    static let wrongBits = [
        "7", "16", "0", "-1", "08", "+9", "1e1", "0x9", "99999999999", "99999999999999999999999999", "\"\"", "\"16\"",
        "\"9 \"", "٩",
    ]

    @Test("D1 a server without compression declines, and a client that offered none fails")
    func disabled() throws {
        let upgrade = try ClientUpgrade(authority: "h", path: "/", deflate: DeflateOptions())
        let answer = ServerUpgrade(path: "/").answer(try upgrade.request(), hasLeftovers: false)
        guard case .accept(let head, let agreement) = answer else {
            Issue.record("refused")
            return
        }
        #expect(agreement.deflate == nil)
        #expect(head.fields.values(of: "Sec-WebSocket-Extensions").isEmpty)
        #expect(try upgrade.verify(head) == Agreement())
        #expect(throws: UpgradeError.unrequestedExtension) { try DeflateNegotiation.judge([Self.name], nil) }
    }

    @Test("D18 W18 compression and text are off by default")
    func offByDefault() throws {
        let request = try ClientUpgrade(authority: "h", path: "/").request()
        #expect(request.fields.values(of: "Sec-WebSocket-Extensions").isEmpty)
        #expect(ServerUpgrade(path: "/").deflate == nil)
        for role in [WebSocketRole.client, .server] {
            let outcome = sameOutcome(frame(0xC2, hex("f248cdc9c90700"), to: role), role, deflate: nil)
            #expect(outcome.error == .reservedBits)
        }
        let isolated = DeflateOptions.isolated
        #expect(isolated.serverNoContextTakeover && isolated.clientNoContextTakeover)
    }

    /// An answer and the client's agreement; nil if the handshake fails.
    @Test(
        "a client accepts an answer that fits its offer",
        arguments: [
            (name, "s15 c15"), ("\(name); server_no_context_takeover", "S15 c15"),
            ("\(name); client_no_context_takeover", "s15 C15"), ("\(name); server_max_window_bits=8", "s8 c15"),
            ("\(name); server_max_window_bits=\"10\"; client_max_window_bits=9", "s10 c9"),
            ("\(name); client_max_window_bits=8", "s15 c8"), ("\(name); client_max_window_bits", nil),
            ("\(name); server_max_window_bits", nil), ("\(name); foo", nil), ("\(name); foo=bar", nil),
            ("\(name); server_no_context_takeover=1", nil), ("\(name); client_no_context_takeover=1", nil),
            ("\(name); server_no_context_takeover; server_no_context_takeover", nil),
        ]
            + wrongBits.flatMap {
                [("\(name); server_max_window_bits=\($0)", nil), ("\(name); client_max_window_bits=\($0)", nil)]
            }
    )
    func client(row: (answer: String, agreed: String?)) {
        let agreed = try? DeflateNegotiation.judge([row.answer], DeflateOptions())
        let summary = agreed.map {
            "\($0.serverNoContextTakeover ? "S" : "s")\($0.serverMaxWindowBits) "
                + "\($0.clientNoContextTakeover ? "C" : "c")\($0.clientMaxWindowBits)"
        }
        #expect(summary == row.agreed)
    }

    @Test("D2 the handshake fails with its own error if an answer does not grant the client's request")
    func broken() throws {
        var options = DeflateOptions()
        options.serverNoContextTakeover = true
        options.serverMaxWindowBits = 10
        let good = "\(Self.name); server_no_context_takeover; server_max_window_bits=10"
        #expect(try DeflateNegotiation.judge([good], options)?.serverMaxWindowBits == 10)
        for bad in ["server_no_context_takeover", "server_max_window_bits=10"] {
            #expect(throws: UpgradeError.deflateParameters) {
                try DeflateNegotiation.judge(["\(Self.name); \(bad)"], options)
            }
        }
        #expect(throws: UpgradeError.deflateParameters) {
            try DeflateNegotiation.judge([good.replacing("=10", with: "=11")], options)
        }
        for bad in ["\(good), \(good)", "foo", "\(good), foo", "=", ""] {
            #expect(throws: UpgradeError.unrequestedExtension) { try DeflateNegotiation.judge([bad], options) }
        }
        #expect(throws: UpgradeError.unrequestedExtension) { try DeflateNegotiation.judge([good, good], options) }
        #expect(try DeflateNegotiation.judge([], options) == nil)
    }

    // D5, an answer with client_max_window_bits that was not offered, cannot occur. The client always offers it, so
    // that a server can save memory. This test pins the offer.
    @Test("D5 the offer always allows the server to choose the client's window")
    func offer() {
        var options = DeflateOptions()
        #expect(DeflateNegotiation.offer(options) == "\(Self.name); client_max_window_bits")
        options = .isolated
        #expect(
            DeflateNegotiation.offer(options)
                == "\(Self.name); server_no_context_takeover; client_no_context_takeover; "
                + "server_max_window_bits=12; client_max_window_bits=12"
        )
    }

    @Test("both ends agree for all combinations of their options")
    func bothEnds() throws {
        for bits in [9, 12, 15] {
            for other in [9, 12, 15] {
                for noContextTakeover in [false, true] {
                    var (ours, theirs) = (DeflateOptions(), DeflateOptions())
                    (ours.serverMaxWindowBits, ours.clientMaxWindowBits) = (bits, other)
                    (theirs.serverMaxWindowBits, theirs.clientMaxWindowBits) = (other, bits)
                    ours.clientNoContextTakeover = noContextTakeover
                    theirs.serverNoContextTakeover = noContextTakeover
                    let accepted = try #require(DeflateNegotiation.accept([DeflateNegotiation.offer(ours)], theirs))
                    let judged = try #require(try DeflateNegotiation.judge([accepted.answer], ours))
                    var agreed = accepted.agreement
                    agreed.options = ours
                    #expect(agreed == judged)
                    #expect(agreed.serverMaxWindowBits == min(bits, other))
                    #expect(agreed.clientMaxWindowBits == min(bits, other))
                }
            }
        }
    }
}
