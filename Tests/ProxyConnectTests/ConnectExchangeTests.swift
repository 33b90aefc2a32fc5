import HTTP1
import NIOCore
import ProxyConnect
import TestSupport
import Testing

@Suite("The exchange with the proxy")
struct ConnectExchangeTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var name: String
        var user: String? = "user"
        var permitted = ProxyScheme.all
        var sendAhead = false
        var inputs: [Input]
        var expected: [Event]
        var testDescription: String { name }
    }

    static let wantsBasic = ["Proxy-Authenticate: Basic realm=\"corp, inc\"", "Content-Length: 4"]

    static let rows: [Row] = [
        Row(name: "a 200 opens the tunnel", inputs: [.says(answer("200 OK"))], expected: [.established(leftover: "")]),
        Row(
            name: "R6 bytes after the 200 belong to the tunnel",
            inputs: [.says(answer("200 OK", body: "SSH-2.0\r\n"))],
            expected: [.established(leftover: "SSH-2.0\r\n")]
        ),
        Row(
            name: "R8 the length and the coding of a 200 are ignored",
            inputs: [.says(answer("200 OK", ["Content-Length: 5", "Transfer-Encoding: chunked"], body: "abc"))],
            expected: [.established(leftover: "abc")]
        ),
        Row(name: "any 2xx opens it", inputs: [.says(answer("204 Yes"))], expected: [.established(leftover: "")]),
        Row(
            name: "HTTP/1.0, bare LF, no reason",
            inputs: [.says("HTTP/1.0 200\n\n")],
            expected: [.established(leftover: "")]
        ),
        Row(
            name: "R5 interim answers are skipped",
            inputs: [.says(answer("100 Continue") + answer("103 Early", ["Link: x"]) + answer("200 OK", body: "x"))],
            expected: [.established(leftover: "x")]
        ),
        Row(
            name: "R7 eight interim answers pass",
            inputs: [.says(String(repeating: answer("100 Continue"), count: 8) + answer("200 OK"))],
            expected: [.established(leftover: "")]
        ),
        Row(
            name: "R7 nine interim answers fail",
            inputs: [.says(String(repeating: answer("100 Continue"), count: 9))],
            expected: [.failed(.tooManyInterimAnswers)]
        ),
        Row(
            name: "a 101 is not an interim answer",
            inputs: [.says(answer("101 x", ["Content-Length: 0"]))],
            expected: [.failed(.unexpectedStatus)]
        ),
        Row(
            name: "R9 a 407 is answered on the same connection after its body",
            inputs: [.says(answer("407 Auth", wantsBasic, body: "page")), .says(answer("200 OK", body: "x"))],
            expected: [.sent(authorized()), .established(leftover: "x")]
        ),
        Row(
            name: "R9 a chunked body is discarded",
            inputs: [
                .says(
                    answer(
                        "407 Auth",
                        ["Proxy-Authenticate: Basic realm=x", "Transfer-Encoding: chunked"],
                        body: "4;x=y\r\npage\r\n0\r\nT: u\r\n\r\n"
                    )
                ),
                .says(answer("200 OK")),
            ],
            expected: [.sent(authorized()), .established(leftover: "")]
        ),
        Row(
            name: "R9 Basic is found among others",
            inputs: [
                .says(
                    answer(
                        "407 Auth",
                        [
                            "Proxy-Authenticate: Kerberos, Bearer realm=x",
                            "proxy-authenticate: Odd a=\"b, Basic\", BASIC realm=x",
                            "Content-Length: 0",
                        ]
                    )
                )
            ],
            expected: [.sent(authorized())]
        ),
        Row(
            name: "Connection: close leads to another connection",
            inputs: [.says(answer("407 Auth", wantsBasic + ["Connection: close"])), .says(answer("200 OK"))],
            expected: [.reconnected(authorized()), .established(leftover: "")]
        ),
        Row(
            name: "Proxy-Connection: close leads to another connection",
            inputs: [.says(answer("407 Auth", wantsBasic + ["Proxy-Connection: Close"]))],
            expected: [.reconnected(authorized())]
        ),
        Row(
            name: "HTTP/1.0 without keep-alive leads to another connection",
            inputs: [.says("HTTP/1.0 407 Auth\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n")],
            expected: [.reconnected(authorized())]
        ),
        Row(
            name: "HTTP/1.0 with keep-alive keeps the connection",
            inputs: [
                .says(
                    "HTTP/1.0 407 Auth\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n"
                        + "Proxy-Connection: keep-alive\r\n\r\n"
                )
            ],
            expected: [.sent(authorized())]
        ),
        Row(
            name: "a body until the close leads to another connection",
            inputs: [.says(answer("407 Auth", ["Proxy-Authenticate: Basic realm=x"]))],
            expected: [.reconnected(authorized())]
        ),
        Row(
            name: "R9 a body of more than 64 KiB leads to another connection before it arrives",
            inputs: [.says(answer("407 Auth", ["Proxy-Authenticate: Basic realm=x", "Content-Length: 65537"]))],
            expected: [.reconnected(authorized())]
        ),
        Row(
            name: "a malformed length leads to another connection",
            inputs: [.says(answer("407 Auth", ["Proxy-Authenticate: Basic realm=x", "Content-Length: +5"]))],
            expected: [.reconnected(authorized())]
        ),
        Row(
            name: "a length beside a coding leads to another connection",
            inputs: [.says(answer("407 Auth", wantsBasic + ["Transfer-Encoding: chunked"]))],
            expected: [.reconnected(authorized())]
        ),
        Row(
            name: "a malformed chunk leads to another connection",
            inputs: [
                .says(answer("407 A", ["Proxy-Authenticate: Basic", "Transfer-Encoding: chunked"], body: "x"))
            ],
            expected: [.reconnected(authorized())]
        ),
        Row(
            name: "a proxy that closes within the body of its 407 is dialled again",
            inputs: [.says(answer("407 Auth", wantsBasic, body: "pa")), .closes, .says(answer("200 OK"))],
            expected: [.reconnected(authorized()), .established(leftover: "")]
        ),
        Row(
            name: "a proxy that closes without a second answer is dialled again, once",
            inputs: [.says(answer("407 Auth", wantsBasic, body: "page")), .closes, .closes],
            expected: [.sent(authorized()), .reconnected(authorized()), .failed(.closedWithoutAnswer)]
        ),
        Row(
            name: "R10 a 407 to the credentials is a refusal",
            inputs: [
                .says(answer("407 Auth", wantsBasic, body: "page")),
                .says(answer("407 Auth", wantsBasic, body: "page")),
                .says(answer("407 Auth", wantsBasic, body: "page")), .closes,
            ],
            expected: [.sent(authorized()), .failed(.credentialsRefused(.basic))]
        ),
        Row(
            name: "R10 a 407 to the credentials on another connection too",
            inputs: [
                .says(answer("407 Auth", wantsBasic + ["Connection: close"])),
                .says(answer("407 Auth", wantsBasic + ["Connection: close"], body: "page")),
            ],
            expected: [.reconnected(authorized()), .failed(.credentialsRefused(.basic))]
        ),
        Row(
            name: "R10 a 407 that then offers another scheme too",
            inputs: [
                .says(answer("407 Auth", wantsBasic, body: "page")),
                .says(answer("407 Auth", ["Proxy-Authenticate: NTLM", "Content-Length: 0"])),
            ],
            expected: [.sent(authorized()), .failed(.credentialsRefused(.basic))]
        ),
        Row(
            name: "credentials sent ahead open the tunnel at once",
            sendAhead: true,
            inputs: [.says(answer("200 OK"))],
            expected: [.established(leftover: "")]
        ),
        Row(
            name: "a 407 to credentials sent ahead is a challenge, the next one a refusal",
            sendAhead: true,
            inputs: [
                .says(answer("407 Auth", wantsBasic, body: "page")),
                .says(answer("407 Auth", wantsBasic, body: "page")),
            ],
            expected: [.sent(authorized()), .failed(.credentialsRefused(.basic))]
        ),
        Row(
            name: "a 407 is an error of its own if there are no credentials",
            user: nil,
            sendAhead: true,
            inputs: [.says(answer("407 Auth", wantsBasic, body: "page"))],
            expected: [.failed(.credentialsNeeded)]
        ),
        Row(
            name: "R9 no usable scheme",
            permitted: [.basic],
            inputs: [.says(answer("407 Auth", ["Proxy-Authenticate: NTLM, Odd x=\"Basic\"", "Content-Length: 0"]))],
            expected: [.failed(.noUsableScheme(usable: [.basic]))]
        ),
        Row(
            name: "R12 Basic is not used unless permitted",
            permitted: [.digest, .ntlm],
            inputs: [.says(answer("407 Auth", wantsBasic, body: "page"))],
            expected: [.failed(.noUsableScheme(usable: [.ntlm, .digest]))]
        ),
        Row(
            name: "a 407 without any challenge",
            inputs: [.says(answer("407 Auth", ["Content-Length: 0"]))],
            expected: [.failed(.noUsableScheme(usable: [.negotiate, .ntlm, .digest, .basic]))]
        ),
        Row(
            name: "a 403 is a refusal by policy, reported after its page",
            inputs: [.says(answer("403 Forbidden", ["Content-Length: 4"], body: "page"))],
            expected: [.failed(.refusedByPolicy)]
        ),
        Row(
            name: "R13 only the status line counts",
            inputs: [
                .says(
                    answer("403 HTTP/1.1 200 OK", ["X: HTTP/1.1 200", "Content-Length: 15"], body: "HTTP/1.1 200 OK")
                )
            ],
            expected: [.failed(.refusedByPolicy)]
        ),
        Row(
            name: "R11 a 401 is not a challenge",
            inputs: [.says(answer("401 x", ["Proxy-Authenticate: Basic realm=x", "Content-Length: 0"]))],
            expected: [.failed(.unexpectedStatus)]
        ),
        Row(
            name: "R1 a redirect is not followed",
            inputs: [.says(answer("302 Found", ["Location: http://portal/", "Content-Length: 0"]))],
            expected: [.failed(.unexpectedStatus)]
        ),
        Row(
            name: "a page until close ends with the connection",
            inputs: [.says(answer("503 x", body: "page")), .closes],
            expected: [.failed(.unexpectedStatus)]
        ),
        Row(
            name: "a truncated page is enough",
            inputs: [.says(answer("503 x", ["Content-Length: 99"], body: "page")), .closes],
            expected: [.failed(.unexpectedStatus)]
        ),
        Row(
            name: "a compressed page is not read",
            inputs: [.says(answer("503 x", ["Content-Length: 99", "Content-Encoding: gzip"]))],
            expected: [.failed(.unexpectedStatus)]
        ),
        Row(
            name: "4 KiB of a page are enough",
            inputs: [.says(answer("503 x", body: String(repeating: "x", count: 4096)))],
            expected: [.failed(.unexpectedStatus)]
        ),
        Row(name: "closed without an answer", inputs: [.closes, .closes], expected: [.failed(.closedWithoutAnswer)]),
        Row(
            name: "closed within the answer",
            inputs: [.says("HTTP/1.1 200"), .closes],
            expected: [.failed(.closedWithinAnswer)]
        ),
        Row(
            name: "R15 later bytes do not belong to the exchange",
            inputs: [.says(answer("200 OK")), .closes, .says("x")],
            expected: [.established(leftover: "")]
        ),
    ]

    @Test("An exchange proceeds as expected, at every split of the answers", arguments: rows)
    func script(_ row: Row) throws {
        func run(_ cut: ([UInt8]) -> [[UInt8]]) throws -> [Event] {
            var script = Script(
                try makeExchange(user: row.user, permitted: row.permitted, sendAhead: row.sendAhead)
            )
            let first = row.sendAhead && row.user != nil ? authorized() : plainRequest
            #expect(script.events == [.sent(first)])
            script.play(row.inputs, cut: cut)
            return Array(script.events.dropFirst())
        }
        #expect(try run { [$0] } == row.expected, "whole")
        #expect(try run { $0.map { [$0] } } == row.expected, "byte by byte")
        for input in row.inputs {
            guard case .says(let text) = input else { continue }
            let length = text.utf8.count
            for index in 1..<min(max(length, 2), 700) where index < length {
                let cut: ([UInt8]) -> [[UInt8]] = { bytes in
                    bytes.count > index ? [Array(bytes[..<index]), Array(bytes[index...])] : [bytes]
                }
                #expect(try run(cut) == row.expected, "split at \(index)")
            }
        }
    }

    @Test("Bytes after the body of a 407 are not the answer to the next request")
    func desynchronised() throws {
        var script = Script(try makeExchange())
        script.play([.says(answer("407 Auth", Self.wantsBasic, body: "page") + answer("200 OK"))])
        #expect(script.events.last == .reconnected(authorized()))
    }

    @Test(
        "R14 an answer that is not HTTP fails at its first illegal byte, and its start is shown escaped",
        arguments: [
            ("SSH-2.0-x\r\n", "SSH-2.0-x\\u{D}\\u{A}"), ("\u{15}\u{3}\u{1}", "\\u{15}\\u{3}\\u{1}"),
            ("<html>", "<html>"),
            ("HTTQ", "HTTQ"),
        ]
    )
    func r14_garbage(_ text: String, _ shown: String) throws {
        everySplit(of: Array(text.utf8)) { chunks, how in
            var script = try? Script(makeExchange())
            script?.play([.says(text)], cut: { _ in chunks })
            guard case .malformedAnswer(let error, let start) = script?.lastError?.kind else {
                Issue.record("no error, \(how)")
                return
            }
            #expect(error == HTTP1Error(.notHTTP), "\(how)")
            #expect(shown.hasPrefix(start), "\(how)")
            if how == "whole" { #expect(start == shown) }
        }
    }

    @Test("R14 the error shows the start of the malformed answer, not of an interim answer before it")
    func r14_garbageAfterInterim() throws {
        var script = Script(try makeExchange())
        script.play([.says(answer("100 Continue") + "<html>")])
        #expect(script.lastError?.kind == .malformedAnswer(HTTP1Error(.notHTTP), start: "<html>"))
    }

    @Test("R7 an endless head is refused at the limit")
    func r7_endlessHead() throws {
        var script = Script(try makeExchange())
        script.play([
            .says("HTTP/1.1 200 OK\r\n"),
            .says(String(repeating: "A: \(String(repeating: "x", count: 995))\r\n", count: 66)),
        ])
        guard case .malformedAnswer(HTTP1Error(.headTooLarge), _) = script.lastError?.kind else {
            Issue.record("\(script.events)")
            return
        }
    }

    @Test("At the deadline the error reports what has arrived")
    func deadline() throws {
        func after(_ inputs: [Input]) throws -> ConnectError {
            var script = Script(try makeExchange())
            script.play(inputs)
            let error = script.exchange.deadline()
            var buffer = ByteBuffer(string: answer("200 OK"))
            let late = script.exchange.receive(&buffer)
            #expect(late == nil)
            return error
        }
        #expect(try after([]).kind == .silence)
        #expect(try after([.says("HTTP/1.1 4")]).kind == .unfinishedAnswer)
        let page = try after([.says(answer("403 Forbidden", ["Content-Length: 99"], body: "<title>Denied</title>"))])
        #expect(page.kind == .refusedByPolicy)
        #expect(page.answer?.page == "Denied")
        let drain = try after([.says(answer("407 Auth", Self.wantsBasic, body: "p"))])
        #expect(drain.kind == .unfinishedAnswer)
        #expect(drain.answer?.status == 407)
    }
}
