import ProxyConnect
import TestSupport
import Testing

@Suite("The exchange with a SOCKS proxy")
struct SocksExchangeTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var name: String
        var user: String? = "user"
        /// All bytes from the proxy, in hexadecimal.
        var proxy: String
        var closes = false
        /// The actions after the greeting.
        var expected: [SocksEvent]
        var testDescription: String { name }
    }

    static let greeting = octets("05 02 00 02")
    static let login = [1, 4] + Array("user".utf8) + [6] + Array("secret".utf8)
    static let request = octets("05 01 00 03 12") + Array("tunnel.example.com".utf8) + octets("01 BB")
    /// The events of a row in which the request, or the login and the request, were sent.
    static func afterRequest(_ event: SocksEvent) -> [SocksEvent] { [.sent(request), event] }
    static func afterLogin(_ event: SocksEvent) -> [SocksEvent] { [.sent(login), .sent(request), event] }
    static func longName(_ length: Int) -> String {
        " 03 " + ([length] + Array(repeating: 0x78, count: length)).map { String($0, radix: 16) }.joined(separator: " ")
    }

    static let rows: [Row] = [
        Row(
            name: "R6 microsocks without a password, and the server's first bytes",
            user: nil,
            proxy: "05 00 05 00 00 01 00 00 00 00 00 00 53 53 48 2d 32 2e 30 2d 68 69 0d 0a",
            expected: afterRequest(.established(leftover: Array("SSH-2.0-hi\r\n".utf8)))
        ),
        Row(
            name: "R6 microsocks with a password, and the server's first bytes",
            proxy: "05 02 01 00 05 00 00 01 00 00 00 00 00 00 53 53 48 2d 32 2e 30 2d 68 69 0d 0a",
            expected: afterLogin(.established(leftover: Array("SSH-2.0-hi\r\n".utf8)))
        ),
        Row(
            name: "the password is not sent if the proxy does not ask for it",
            proxy: "05 00 05 00 00 01 7F 00 00 01 1F 90",
            expected: afterRequest(.established(leftover: []))
        ),
        Row(
            name: "R6 an IPv6 address in the reply is skipped",
            proxy: "05 00 05 00 00 04 20 01 0D B8 00 00 00 00 00 00 00 00 00 00 00 01 1F 90 05",
            expected: afterRequest(.established(leftover: [5]))
        ),
        Row(
            name: "R6 a name in the reply is skipped",
            proxy: "05 00 05 00 00 03 03 61 62 63 1F 90 16",
            expected: afterRequest(.established(leftover: [0x16]))
        ),
        Row(
            name: "R6 an empty name in the reply is skipped",
            proxy: "05 00 05 00 00 03 00 1F 90 16",
            expected: afterRequest(.established(leftover: [0x16]))
        ),
        Row(
            name: "R6 a name of 255 bytes in the reply is skipped",
            proxy: "05 00 05 00 00" + longName(255) + " 1F 90 16",
            expected: afterRequest(.established(leftover: [0x16]))
        ),
        Row(
            name: "the reserved byte is ignored",
            proxy: "05 00 05 00 FF 01 00 00 00 00 00 00",
            expected: afterRequest(.established(leftover: []))
        ),
        Row(
            name: "R15 later bytes do not belong to the exchange",
            proxy: "05 00 05 00 00 01 00 00 00 00 00 00",
            closes: true,
            expected: afterRequest(.established(leftover: []))
        ),
        Row(
            name: "microsocks with a password, to a client without one",
            user: nil,
            proxy: "05 FF",
            closes: true,
            expected: [.failed(.credentialsNeeded)]
        ),
        Row(name: "no acceptable method", proxy: "05 FF", closes: true, expected: [.failed(.noAcceptableMethod)]),
        Row(
            name: "microsocks with another password",
            proxy: "05 02 01 02",
            closes: true,
            expected: [.sent(login), .failed(.credentialsRefused(status: 2))]
        ),
        Row(
            name: "microsocks, if the server refuses",
            proxy: "05 02 01 00 05 05 00 01 00 00 00 00 00 00",
            closes: true,
            expected: afterLogin(.failed(.refused(.connectionRefused)))
        ),
        Row(
            name: "microsocks, if the name does not resolve",
            proxy: "05 02 01 00 05 01 00 01 00 00 00 00 00 00",
            closes: true,
            expected: afterLogin(.failed(.refused(.generalFailure)))
        ),
        Row(
            name: "a refusal without an address",
            proxy: "05 00 05 02",
            closes: true,
            expected: afterRequest(.failed(.refused(.notAllowed)))
        ),
        Row(
            name: "a method that was not offered",
            proxy: "05 01",
            expected: [.failed(.malformedAnswer(.methodNotOffered(1)))]
        ),
        Row(
            name: "a proxy that asks for a password that was not offered",
            user: nil,
            proxy: "05 02",
            expected: [.failed(.malformedAnswer(.methodNotOffered(2)))]
        ),
        Row(
            name: "an answer to the password with a wrong version",
            proxy: "05 02 05 00",
            expected: [.sent(login), .failed(.malformedAnswer(.wrongVersion(5, .authentication)))]
        ),
        Row(
            name: "a reply of another version",
            proxy: "05 00 04 5A",
            expected: afterRequest(.failed(.malformedAnswer(.wrongVersion(4, .request))))
        ),
        Row(
            name: "a reply with an unknown type of address",
            proxy: "05 00 05 00 00 02",
            expected: afterRequest(.failed(.malformedAnswer(.unknownAddressType(2))))
        ),
        Row(
            name: "R14 a status line",
            proxy: "48 54 54 50 2F 31 2E 31",
            expected: [.failed(.malformedAnswer(.otherProtocol(.http)))]
        ),
        Row(name: "R14 a page", proxy: "3C 68 74 6D", expected: [.failed(.malformedAnswer(.otherProtocol(.http)))]),
        Row(
            name: "R14 an answer that begins like a status line",
            proxy: "48 54 54 51",
            expected: [.failed(.malformedAnswer(.otherProtocol(.unknown)))]
        ),
        Row(
            name: "R14 a TLS alert",
            proxy: "15 03 01 00 02 02 46",
            expected: [.failed(.malformedAnswer(.otherProtocol(.tls)))]
        ),
        Row(
            name: "R14 SOCKS 4 with version 0",
            proxy: "00 5B 00 00 00 00 00 00",
            expected: [.failed(.malformedAnswer(.otherProtocol(.socks4)))]
        ),
        Row(
            name: "R14 SOCKS 4 with version 4",
            proxy: "04 5B",
            expected: [.failed(.malformedAnswer(.otherProtocol(.socks4)))]
        ),
        Row(name: "R14 SSH", proxy: "53 53", expected: [.failed(.malformedAnswer(.otherProtocol(.unknown)))]),
        Row(name: "closed at once", proxy: "", closes: true, expected: [.failed(.closed(.greeting))]),
        Row(name: "closed within the method", proxy: "05", closes: true, expected: [.failed(.closed(.greeting))]),
        Row(name: "closed within HTTP", proxy: "48 54", closes: true, expected: [.failed(.closed(.greeting))]),
        Row(
            name: "closed after the password",
            proxy: "05 02",
            closes: true,
            expected: [.sent(login), .failed(.closed(.authentication))]
        ),
        Row(
            name: "closed within the reply",
            proxy: "05 00 05 00 00 03 03 61 62 63 1F",
            closes: true,
            expected: afterRequest(.failed(.closed(.request)))
        ),
    ]

    @Test("An exchange proceeds as expected, at every split of the answers", arguments: rows)
    func script(_ row: Row) throws {
        let exchange = try makeSocksExchange(user: row.user)
        everySplit(of: octets(row.proxy)) { chunks, how in
            var script = SocksScript(exchange)
            script.say(chunks)
            if row.closes { script.close() }
            script.close()
            #expect(script.events.first == .sent(row.user == nil ? [5, 1, 0] : Self.greeting), "\(how)")
            #expect(Array(script.events.dropFirst()) == row.expected, "\(how)")
        }
    }

    @Test("Each reply other than 0 is a refusal with its code", arguments: UInt8(1)...255)
    func replies(_ code: UInt8) throws {
        var script = SocksScript(try makeSocksExchange(user: nil))
        script.say([[5, 0, 5, code, 0, 1, 0, 0, 0, 0, 0, 0]])
        #expect(script.lastError?.kind == .refused(SocksReply(rawValue: code)))
        #expect(script.lastError?.isPolicyRefusal == (code == 2))
    }

    @Test("Each status other than 0 refuses the credentials", arguments: UInt8(1)...255)
    func statuses(_ status: UInt8) throws {
        var script = SocksScript(try makeSocksExchange())
        script.say([[5, 2], [1, status]])
        #expect(script.lastError?.kind == .credentialsRefused(status: status))
        #expect(script.lastError?.isCredentialRefusal == true)
    }

    @Test("A reply with an unknown type of address is malformed", arguments: UInt8.min...UInt8.max)
    func addressTypes(_ type: UInt8) throws {
        var script = SocksScript(try makeSocksExchange(user: nil))
        script.say([[5, 0, 5, 0, 0, type] + [UInt8](repeating: 0, count: 300)])
        let leftover: [UInt8: Int] = [1: 294, 3: 297, 4: 282]
        if let count = leftover[type] {
            #expect(script.events.last == .established(leftover: [UInt8](repeating: 0, count: count)))
        } else {
            #expect(script.lastError?.kind == .malformedAnswer(.unknownAddressType(type)))
        }
    }

    @Test("A mutated answer has the same result at every split, and never traps")
    func mutations() throws {
        var random = Fuzzing.generator(0x50C5)
        let seeds = Self.rows.map { octets($0.proxy) }
        let exchanges = [try makeSocksExchange(), try makeSocksExchange(user: nil)]
        for round in 0..<6000 {
            let bytes = Fuzzing.mutate(seeds[round % seeds.count], &random)
            for exchange in exchanges {
                var whole = SocksScript(exchange)
                whole.say([bytes])
                var cut = SocksScript(exchange)
                cut.say(Fuzzing.cut(bytes, &random))
                #expect(whole.events == cut.events, "\(bytes)")
                if case .established(let leftover) = whole.events.last {
                    #expect(bytes.suffix(leftover.count).elementsEqual(leftover), "\(bytes)")
                    #expect(bytes.count - leftover.count <= 2 + 2 + 262, "\(bytes)")
                }
                whole.close()
                switch whole.events.last {
                case .established, .failed: continue
                case .sent, nil: Issue.record("no end: \(bytes)")
                }
            }
        }
    }
}
