import ProxyConnect
import Testing

@Suite("Netrc")
struct NetrcTests {
    private static let host = "proxy.example.com"

    /// `user:password`, or nil.
    private func found(_ text: String, host: String = host, user: String? = nil) throws -> String? {
        try Netrc(text).credentials(host: host, user: user).map { "\($0.user):\($0.password)" }
    }

    @Test(
        "An entry is found and read",
        arguments: [
            ("machine proxy.example.com login a password b", "a:b"),
            ("MACHINE PROXY.example.COM\n Login a\n\tPASSWORD b\n", "a:b"),
            ("machine\nproxy.example.com\nlogin\na\npassword\nb", "a:b"),
            ("machine proxy.example.com\r\nlogin a\r\npassword b\r\n", "a:b"),
            ("machine proxy.example.com password b login a", "a:b"),
            ("\n \t\nmachine \t proxy.example.com   login\ta password b\n\n", "a:b"),
            ("machine proxy.example.com login DOMAIN\\a password b:c", "DOMAIN\\a:b:c"),
            ("machine proxy.example.com login J\u{E4}s\u{F8}n password p\u{E4}ss", "J\u{E4}s\u{F8}n:p\u{E4}ss"),
            ("machine proxy.example.com account x login a password b", "a:b"),
            ("machine proxy.example.com account login login a password b", "a:b"),
            ("machine proxy.example.com port 80 login a password b", "a:b"),
            ("machine proxy.example.com login login password password", "login:password"),
            ("machine other login machine password default\nmachine proxy.example.com login a password b", "a:b"),
            ("machine proxy.example.com login a password b login c password d", "a:b"),
            ("login x password y machine proxy.example.com login a password b", "a:b"),
            ("machine proxy.example.comx login x password y", nil),
            ("machine proxy.example.com", nil),
            ("", nil),
            ("proxy.example.com a b", nil),
        ]
    )
    func entry(_ text: String, _ expected: String?) throws {
        #expect(try found(text) == expected)
    }

    @Test(
        "A value in quotes may hold blanks, quotes and backslashes; elsewhere they are plain text",
        arguments: [
            (#"machine proxy.example.com login "a b" password "q\"\\x""#, #"a b:q"\x"#),
            (#"machine "proxy.example.com" login "" password """#, ":"),
            (#"machine proxy.example.com login a password b"c\d"#, #"a:b"c\d"#),
            (#"machine proxy.example.com login a password b""#, #"a:b""#),
            ("machine proxy.example.com login a password \"\\b\\$\\#\"", "a:b$#"),
            (#"machine proxy.example.com login "password" password "login""#, "password:login"),
            ("machine proxy.example.com login \"a\"\tpassword \"b\"\r\n", "a:b"),
        ]
    )
    func quotes(_ text: String, _ expected: String) throws {
        #expect(try found(text) == expected)
    }

    @Test(
        "A comment begins where a line or a keyword may; a password may begin with #",
        arguments: [
            ("# machine proxy.example.com login x password y\nmachine proxy.example.com login a password b", "a:b"),
            ("  #x\n#\n##\nmachine proxy.example.com login a password b#c", "a:b#c"),
            ("machine proxy.example.com # my account and login\nlogin a password b", "a:b"),
            ("machine proxy.example.com login a password b # \"open", "a:b"),
            ("machine proxy.example.com login #a password #b", "#a:#b"),
            ("machine proxy.example.com login a password\n# the old one\nb", "a:b"),
            ("machine proxy.example.com login a password\n\"#b\"", "a:#b"),
        ]
    )
    func comments(_ text: String, _ expected: String) throws {
        #expect(try found(text) == expected)
    }

    @Test(
        "A macro is skipped up to an empty line, at the top and inside an entry",
        arguments: [
            ("macdef m\nmachine proxy.example.com login x password y\n\nmachine proxy.example.com login a", "a:"),
            ("macdef m\r\n\"open\r\n\r\nmachine proxy.example.com login a", "a:"),
            ("macdef m\n cd \"x\n \nmachine proxy.example.com login a", nil),
            ("machine proxy.example.com login a\nmacdef m\nlogin x password y\n\npassword b", "a:b"),
            ("macdef m\n\nmachine proxy.example.com login a", "a:"),
            ("machine proxy.example.com login a password b macdef m", "a:b"),
            ("machine proxy.example.com login a password b\nmacdef\n", "a:b"),
        ]
    )
    func macros(_ text: String, _ expected: String?) throws {
        #expect(try found(text) == expected)
    }

    @Test(
        "The first matching entry counts, and the default entry matches at its position",
        arguments: [
            ("machine other login x password y\ndefault login d password e", nil, "d:e"),
            ("default login d password e\nmachine proxy.example.com login a password b", nil, "d:e"),
            ("machine proxy.example.com login a password b\ndefault login d password e", nil, "a:b"),
            ("machine proxy.example.com\ndefault login d password e", nil, "d:e"),
            ("machine proxy.example.com login a password b\nmachine proxy.example.com login c password d", nil, "a:b"),
            ("machine proxy.example.com login a password b\nmachine proxy.example.com login c password d", "c", "c:d"),
            ("machine proxy.example.com password b login c\nmachine proxy.example.com password d login a", "a", "a:d"),
            ("machine proxy.example.com login a password b", "c", nil),
            ("machine proxy.example.com login a password b", "A", nil),
            ("machine proxy.example.com login a password b\ndefault login c password d", "c", "c:d"),
            ("machine proxy.example.com login a\nmachine proxy.example.com login a password b", nil, "a:"),
        ] as [(String, String?, String?)]
    )
    func order(_ text: String, _ user: String?, _ expected: String?) throws {
        #expect(try found(text, user: user) == expected)
    }

    @Test("An entry without a password has an empty one, and an entry without a login matches any user")
    func missingParts() throws {
        #expect(try found("machine proxy.example.com login a") == "a:")
        #expect(try found("machine proxy.example.com password b") == ":b")
        #expect(try found("machine proxy.example.com password b", user: "bob") == "bob:b")
        #expect(try found("machine proxy.example.com", user: "bob") == nil)
    }

    @Test("Two spellings of an accented letter are two users, and hosts are compared without case in ASCII only")
    func bytes() throws {
        #expect(try found("machine proxy.example.com login \u{E9} password b", user: "e\u{301}") == nil)
        #expect(try found("machine \u{212A}.example login a", host: "k.example") == nil)
        #expect(try found("machine FE80::1 login a", host: "fe80::1") == "a:")
    }

    @Test(
        "A syntax error names its line",
        arguments: [
            ("machine proxy.example.com login \"a", .malformedQuote(line: 1)),
            ("\n\nmachine x login \"a\nb\"", .malformedQuote(line: 3)),
            ("# c\nmachine x login \"a\\", .malformedQuote(line: 2)),
            ("machine x login \"a\\\nb\"", .malformedQuote(line: 1)),
            ("machine x password \"a\"b", .malformedQuote(line: 1)),
            ("macdef m\n\"\n\nmachine x password \"\"\"", .malformedQuote(line: 4)),
            ("\"", .malformedQuote(line: 1)),
            ("machine", .missingValue(line: 1)),
            ("machine x\nlogin a\npassword\n\n", .missingValue(line: 3)),
            ("machine x login\r\n#a", .missingValue(line: 1)),
            ("machine x account", .missingValue(line: 1)),
        ] as [(String, NetrcError)]
    )
    func errors(_ text: String, _ error: NetrcError) {
        #expect(throws: error) { try Netrc(text) }
    }

    @Test("R16 a control character is an error only if its entry is used")
    func r16_controlCharacters() throws {
        for bad in ["\"a\\nb\"", "\"\\r\"", "\"\\t\"", "a\u{0}b", "\u{1B}", "\u{7F}", "\u{85}"] {
            for part in ["login \(bad)", "login a password \(bad)"] {
                let text = "machine x login c\n\nmachine proxy.example.com\n\(part)\ndefault login d"
                #expect(throws: NetrcError.controlCharacter(line: 3)) { try found(text) }
                #expect(try found(text, host: "x") == "c:")
                #expect(try found(text, host: "other") == "d:")
            }
        }
    }

    @Test("Neither a description nor an error shows any of the text")
    func descriptions() throws {
        let netrc = try Netrc("machine proxy.example.com login alice password s3cret\ndefault login bob")
        var dumped = ""
        dump(netrc, to: &dumped)
        for text in ["\(netrc)", String(reflecting: netrc), dumped] {
            #expect(!text.contains("s3cret"))
            #expect(!text.contains("alice"))
        }
        #expect("\(netrc)" == "netrc, entries: 2")
        for error: NetrcError in [.malformedQuote(line: 7), .missingValue(line: 7), .controlCharacter(line: 7)] {
            #expect("\(error)".contains("line 7"))
        }
    }

    @Test("A text truncated anywhere is parsed or refused without a trap")
    func cut() {
        let text = Array("macdef m\nx\n\nmachine a login \"b\\\"\\n\" password #c # d\r\ndefault account e\n".utf8)
        for end in text.indices {
            let netrc = try? Netrc(String(decoding: text[..<end], as: UTF8.self))
            _ = try? netrc?.credentials(host: "a")
        }
    }

    @Test("Thousands of entries, comments and macros are read")
    func long() throws {
        let text = String(repeating: "machine x login \"a b\" # c\n", count: 20_000) + "default login d"
        #expect(try found(text) == "d:")
        #expect(try found(String(repeating: "macdef m\n", count: 50_000)) == nil)
    }
}
