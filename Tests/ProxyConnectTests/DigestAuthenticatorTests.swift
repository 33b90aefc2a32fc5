import Testing

@testable import ProxyConnect

private let connect = ProxyAuthenticationRequest(method: "CONNECT", target: "tunnel.example.com:443")

private func digest(
    _ user: String = "alice",
    _ password: String = "s3cret",
    clientNonce: String = "c0ffee"
) throws -> DigestAuthenticator {
    DigestAuthenticator(try ProxyCredentials(user: user, password: password), clientNonce: clientNonce)
}

extension DigestAuthenticator {
    fileprivate mutating func answer(
        _ fields: String...,
        request: ProxyAuthenticationRequest = connect
    ) -> ProxyAuthenticationStep {
        answer(to: Challenge.parse(fields), request)
    }
}

extension ProxyAuthenticationStep {
    /// The parameters of the answer, unquoted as a proxy reads them.
    fileprivate func parameter(_ name: String) -> String? {
        guard case .answer(let value) = self else { return nil }
        return Challenge.parse([value]).first?.parameter(name)
    }
}

/// Constants that are not from an RFC were computed with Python's hashlib, or sent by curl 7.88.1 (`--proxy-digest`) in
/// answer to the same challenge.
@Suite("Digest answers")
struct DigestAnswerTests {
    /// RFC 7616 section 3.9.1.
    private static let bothHashes = [
        """
        Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-256, \
        nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"
        """,
        """
        Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=MD5, \
        nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"
        """,
    ]

    private func mufasa(_ fields: [String], _ password: String, _ clientNonce: String) throws -> ProxyAuthenticationStep
    {
        var authenticator = try digest("Mufasa", password, clientNonce: clientNonce)
        let request = ProxyAuthenticationRequest(method: "GET", target: "/dir/index.html")
        return authenticator.answer(to: Challenge.parse(fields), request)
    }

    @Test("RFC 7616 section 3.9.1: SHA-256, the stronger of two challenges, in either order")
    func rfc7616_3_9_1_sha256() throws {
        for fields in [Self.bothHashes, Self.bothHashes.reversed()] {
            let answer = try mufasa(fields, "Circle of Life", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ")
            let expected = """
                Digest username="Mufasa", realm="http-auth@example.org", \
                nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", uri="/dir/index.html", algorithm=SHA-256, \
                qop=auth, nc=00000001, cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", \
                response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1", \
                opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"
                """
            #expect(answer == .answer(expected))
        }
    }

    @Test("RFC 7616 section 3.9.1: MD5 if nothing else is offered")
    func rfc7616_3_9_1_md5() throws {
        let md5 = Array(Self.bothHashes.suffix(1))
        let answer = try mufasa(md5, "Circle of Life", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ")
        #expect(answer.parameter("response") == "8ca523f5e9506fed4657c9700eebdbec")
        #expect(answer.parameter("algorithm") == "MD5")
    }

    @Test("RFC 2617 section 3.5, with its variants: MD5-sess, no qop (RFC 2069), and both")
    func rfc2617_3_5() throws {
        let challenge = """
            Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", \
            opaque="5ccc069c403ebaf9f0171e9517f40e41"
            """
        for (more, response) in [
            (", qop=\"auth,auth-int\"", "6629fae49393a05397450978507c4ef1"),
            (", qop=\"auth\", algorithm=MD5-sess", "8e3825c57e897f5a0dec6c2d4e5059d0"),
            ("", "670fd8c2df070c60b045671b8b24ff02"),
            (", algorithm=MD5-sess", "4726bc10c33fa6cb357eb27807b1cce8"),
        ] {
            let answer = try mufasa([challenge + more], "Circle Of Life", "0a4f113b")
            #expect(answer.parameter("response") == response)
            #expect(answer.parameter("opaque") == "5ccc069c403ebaf9f0171e9517f40e41")
        }
    }

    @Test(
        "RFC 2069: without qop the answer has no client nonce, no count and no algorithm unless the challenge names one"
    )
    func rfc2069() throws {
        var authenticator = try digest()
        let expected = """
            Digest username="alice", realm="corp", nonce="n1", uri="tunnel.example.com:443", \
            response="35850c322fe573bb364967de73fa801b"
            """
        #expect(authenticator.answer("Digest realm=\"corp\", nonce=\"n1\"") == .answer(expected))
    }

    @Test("A -sess answer has the client nonce even without qop, since it cannot be verified otherwise")
    func sessionWithoutProtection() throws {
        var authenticator = try digest()
        let answer = authenticator.answer("Digest realm=\"corp\", nonce=\"n1\", algorithm=md5-sess")
        #expect(answer.parameter("cnonce") == "c0ffee")
        #expect(answer.parameter("nc") == nil)
        #expect(answer.parameter("qop") == nil)
    }

    @Test(
        "CONNECT is hashed with host:port for every algorithm, and the algorithm's name is sent back unchanged",
        arguments: [
            ("", "617019c6988356b4a623212686f5236d"),
            (", algorithm=MD5", "617019c6988356b4a623212686f5236d"),
            (", algorithm=\"md5\"", "617019c6988356b4a623212686f5236d"),
            (", algorithm=Md5-Sess", "b5c88b6cf2258383b3b4c265f14c78d7"),
            (", algorithm=sha-256", "e61379fbec8a3be4abc36e5a3d39aa9bab8078673db481800a00a27733ade6f1"),
            (", algorithm=SHA-256-SESS", "785b572b270624195c4f51d4f897afc97fdc0cb6f4e9388aa647308b0c91a3d6"),
        ]
    )
    func algorithms(_ parameter: String, _ response: String) throws {
        var authenticator = try digest()
        let challenge = "Digest realm=\"corp\", nonce=\"n1\", qop=\"auth\"\(parameter)"
        let answer = authenticator.answer(challenge)
        #expect(answer.parameter("response") == response)
        #expect(answer.parameter("uri") == "tunnel.example.com:443")
        #expect(answer.parameter("algorithm") == Challenge.parse([challenge]).first?.parameter("algorithm"))
    }

    @Test(
        "The answers are those of curl",
        arguments: [
            (
                "alice", "qop=\"auth\"", "YzZhZmFjMmVjOTIzMWIxYzI5N2FhMTMwNzdkYmJlNTM=",
                "2c0c57a7f885d976a446b6e739d099a1"
            ),
            (
                "alice", "qop=\"auth-int , auth\", algorithm=SHA-256, opaque=\"o\"",
                "M2ExYmUzNGE1ZTYyOGFiNzViNDljOTBhZWJiYjg1MDc=",
                "312c1027a7782f089c2dfff40904d851a870bf297f924f9b7c1857fcb4ab74b4"
            ),
            (
                "alice", "algorithm=MD5-sess, qop=auth", "YTQ4MzFiNWVjNGY4ODhhMjY2ZWY4MmY1Y2JhZjk3NTc=",
                "956d2d20472078990d3775cd6539c6a7"
            ),
            (
                "DOMAIN\\alice", "qop=\"auth\", opaque=\"o\"", "MDIwNzgyYjI1Njk0ZWY1Nzk1YmI5NGRjNDZmMmE0YWE=",
                "a3ea8b606ba9fdc0afa2e9ec21f36fb7"
            ),
            (
                "DOMAIN\\alice", "qop=\"auth\", userhash=true", "ZDg5MWUyODZkNGUxYjExYzhiNzhmMjEwNzUwMDQ0ZjE=",
                "0c45e2c95b241a41b8dbdd38da5a2c6e"
            ),
        ]
    )
    func curl(_ user: String, _ parameters: String, _ clientNonce: String, _ response: String) throws {
        var authenticator = try digest(user, clientNonce: clientNonce)
        let answer = authenticator.answer("Digest realm=\"corp\", nonce=\"n1\", \(parameters)")
        #expect(answer.parameter("response") == response)
    }

    @Test(
        "auth is found in any list of protections",
        arguments: [
            ("\"auth\"", true), ("auth", true), ("\"AUTH\"", true), ("\"auth,auth-int\"", true),
            ("\"auth-int,auth\"", true), ("\" auth-int ,\tauth , \"", true), ("\",,auth\"", true),
            ("\"\"", false), ("\" , \"", false),
        ]
    )
    func protections(_ list: String, _ isUsed: Bool) throws {
        var authenticator = try digest()
        let answer = authenticator.answer("Digest realm=\"corp\", nonce=\"n1\", qop=\(list)")
        #expect(answer.parameter("qop") == (isUsed ? "auth" : nil))
        #expect(
            answer.parameter("response")
                == (isUsed ? "617019c6988356b4a623212686f5236d" : "35850c322fe573bb364967de73fa801b")
        )
    }
}

@Suite("Digest text")
struct DigestTextTests {
    @Test("Quotes and backslashes are hashed as they are and sent with a backslash before them")
    func quoting() throws {
        var authenticator = try digest("DOMAIN\\us\"er", "p:\"w\\", clientNonce: "c\"\\")
        let answer = authenticator.answer(
            #"Digest realm="a \"b\" \\c", nonce="n\"1\\", qop="auth", opaque="\"\\o""#
        )
        let expected = #"""
            Digest username="DOMAIN\\us\"er", realm="a \"b\" \\c", nonce="n\"1\\", uri="tunnel.example.com:443", \#
            qop=auth, nc=00000001, cnonce="c\"\\", response="f48a8c92db90a5b7ebe21179617dce6b", opaque="\"\\o"
            """#
        #expect(answer == .answer(expected))
    }

    @Test("An empty realm, nonce and opaque are sent back empty")
    func empty() throws {
        var authenticator = try digest()
        let answer = authenticator.answer("Digest realm=\"\", nonce=\"\", opaque=\"\"")
        for name in ["realm", "nonce", "opaque"] {
            #expect(answer.parameter(name)?.isEmpty == true)
        }
    }

    @Test("RFC 7616 section 3.4.4: userhash=true hides the name; the response is hashed with the plain one")
    func rfc7616_3_4_4_userhash() throws {
        // The example of section 3.9.2 with supported hashes; its own is SHA-512-256.
        for (algorithm, user, response) in [
            (
                "SHA-256", "5a1a8a47df5c298551b9b42ba9b05835174a5bd7d511ff7fe9191d8e946fc4e7",
                "06d0c14162099f487a92ebceaf71097534ee5f90d858386449c337ab69f7f6b8"
            ),
            ("MD5", "2e063fa2c54dea1c36808b7a6e3b14c9", "f33f35281ddf05582b8faae5b8014ef5"),
        ] {
            var authenticator = try digest(
                "J\u{E4}s\u{F8}n Doe",
                "Secret, or not?",
                clientNonce: "NTg6RKcb9boFIAS3KrFK9BGeh+niz/sm"
            )
            let answer = authenticator.answer(
                """
                Digest realm="api@example.org", qop="auth", algorithm=\(algorithm), \
                nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", \
                opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", charset=UTF-8, userhash=true
                """,
                request: ProxyAuthenticationRequest(method: "GET", target: "/doe.json")
            )
            #expect(answer.parameter("username") == user)
            #expect(answer.parameter("username*") == nil)
            #expect(answer.parameter("userhash") == "true")
            #expect(answer.parameter("response") == response)
        }
    }

    @Test("A name beyond ASCII is sent as username* if the proxy accepts UTF-8, otherwise as its bytes")
    func extendedName() throws {
        for (charset, name, value) in [
            (", charset=UTF-8", "username*", "UTF-8''J%C3%A4s%C3%B8n%20Doe"),
            (", charset=\"utf-8\", userhash=false", "username*", "UTF-8''J%C3%A4s%C3%B8n%20Doe"),
            ("", "username", "J\u{E4}s\u{F8}n Doe"),
            (", charset=ISO-8859-1", "username", "J\u{E4}s\u{F8}n Doe"),
        ] {
            var authenticator = try digest("J\u{E4}s\u{F8}n Doe", "p\u{E4}ssword")
            let answer = authenticator.answer("Digest realm=\"corp\", nonce=\"n1\", qop=\"auth\"\(charset)")
            #expect(answer.parameter(name) == value)
            #expect((answer.parameter("username") == nil) == (name == "username*"))
            #expect(answer.parameter("response") == "917843071e83c02aaff0e01cf89ad0c7")
        }
    }

    @Test("A name in ASCII is quoted for every charset")
    func plainName() throws {
        var authenticator = try digest("DOMAIN\\alice")
        let answer = authenticator.answer("Digest realm=\"corp\", nonce=\"n1\", charset=UTF-8")
        #expect(answer.parameter("username") == "DOMAIN\\alice")
        #expect(answer.parameter("username*") == nil)
    }

    @Test("RFC 8187 section 3.2: all but attr-char is percent-encoded")
    func rfc8187_3_2() {
        #expect(ExtendedValue.encoded("aZ09!#$&+-.^_`|~") == "UTF-8''aZ09!#$&+-.^_`|~")
        #expect(ExtendedValue.encoded("*'%() \\\"\t/\u{20AC}") == "UTF-8''%2A%27%25%28%29%20%5C%22%09%2F%E2%82%AC")
    }
}

@Suite("Digest exchanges")
struct DigestExchangeTests {
    private static let first = "Digest realm=\"corp\", nonce=\"n1\", qop=\"auth\""
    private static let stale = "Digest realm=\"corp\", nonce=\"n2\", qop=\"auth\", stale=TRUE"

    @Test("Digest works on any connection, takes two legs, and sends nothing ahead")
    func properties() throws {
        var authenticator = try digest()
        #expect(authenticator.scheme == .digest)
        #expect(!authenticator.needsSameConnection)
        #expect(authenticator.maximumLegs == 2)
        #expect(authenticator.answerAhead(connect) == nil)
        _ = authenticator.answer(Self.first)
        #expect(authenticator.answerAhead(connect) == nil)
    }

    @Test("A challenge after an answer is a refusal, with the same nonce or another")
    func refused() throws {
        for second in [Self.first, "Digest realm=\"corp\", nonce=\"n2\", qop=\"auth\", stale=false", "Digest"] {
            var authenticator = try digest()
            #expect(authenticator.answer(Self.first).parameter("nonce") == "n1")
            #expect(authenticator.answer(second) == .refused)
            #expect(authenticator.answer(second) == .refused)
        }
    }

    @Test("A stale nonce is answered with the new one, once; another stale nonce is a refusal")
    func stale() throws {
        var authenticator = try digest()
        #expect(authenticator.answer(Self.first).parameter("nc") == "00000001")
        let second = authenticator.answer(Self.stale)
        #expect(second.parameter("nonce") == "n2")
        #expect(second.parameter("nc") == "00000001")
        #expect(second.parameter("response") == "67ce49093ddff4d32b2154a643ed77af")
        for nonce in ["n3", "n4"] {
            #expect(
                authenticator.answer("Digest realm=\"corp\", nonce=\"\(nonce)\", qop=\"auth\", stale=true") == .refused
            )
        }
    }

    @Test("After a stale nonce a plain challenge is a refusal")
    func refusedAfterStale() throws {
        var authenticator = try digest()
        _ = authenticator.answer(Self.first)
        _ = authenticator.answer(Self.stale)
        #expect(authenticator.answer(Self.first) == .refused)
    }

    @Test("A nonce that is used again is counted")
    func count() throws {
        var authenticator = try digest()
        _ = authenticator.answer(Self.first)
        let second = authenticator.answer(Self.first + ", stale=\"true\"")
        #expect(second.parameter("nc") == "00000002")
        #expect(second.parameter("response") == "3a457da64d0fadd26aaf3254d1a5628f")
    }

    @Test("A first challenge may be stale, since it may refer to an earlier exchange")
    func staleAtFirst() throws {
        var authenticator = try digest()
        #expect(authenticator.answer(Self.stale).parameter("nonce") == "n2")
        #expect(authenticator.answer(Self.stale).parameter("nc") == "00000002")
        #expect(authenticator.answer(Self.stale) == .refused)
    }

    @Test("Of several challenges after an answer only stale ones count")
    func staleAmongSeveral() throws {
        var authenticator = try digest()
        _ = authenticator.answer(Self.first, Self.first + ", algorithm=SHA-256")
        let second = authenticator.answer(Self.stale, Self.first + ", algorithm=SHA-256")
        #expect(second.parameter("nonce") == "n2")
        #expect(second.parameter("response") == "67ce49093ddff4d32b2154a643ed77af")
    }

    @Test(
        "The strongest supported challenge is answered, and the first of equally strong ones",
        arguments: [
            (["MD5", "SHA-256"], "n1"), (["SHA-256", "MD5"], "n0"), (["SHA-256", "SHA-256-sess"], "n0"),
            (["MD5-sess", "MD5"], "n0"), (["SHA-512-256", "MD5"], "n1"),
            (["SHA-512-256", "MD5", "SHA-256-sess"], "n2"),
            (["unknown", "SHA-512-256", "md5"], "n2"),
        ] as [([String], String)]
    )
    func strongest(_ algorithms: [String], _ nonce: String) throws {
        let challenges = algorithms.enumerated().map { index, algorithm in
            "Digest realm=\"corp\", nonce=\"n\(index)\", qop=\"auth\", algorithm=\(algorithm)"
        }
        var apart = try digest()
        #expect(apart.answer(to: Challenge.parse(challenges), connect).parameter("nonce") == nonce)
        var together = try digest()
        #expect(together.answer(challenges.joined(separator: ", ")).parameter("nonce") == nonce)
    }

    @Test("No description shows the password or a value derived from it")
    func description() throws {
        var authenticator = try digest()
        _ = authenticator.answer(Self.first)
        var dumped = ""
        dump(authenticator, to: &dumped)
        for text in ["\(authenticator)", String(reflecting: authenticator), dumped] {
            #expect(text.contains("alice"))
            #expect(!text.contains("s3cret"))
            #expect(!text.contains("c0ffee"))
        }
        #expect("\(authenticator)" == "Digest alice:***")
    }
}

@Suite("Digest: hostile challenges")
struct DigestHostileTests {
    private static let unusable = [
        "Digest",
        "Digest abc==",
        "Digest realm=\"corp\"",
        "Digest nonce=\"n\"",
        "Digest realm=\"corp\", nonce=\"n",
        "Digest realm=\"corp\", nonce=\"n\", algorithm=SHA-512-256",
        "Digest realm=\"corp\", nonce=\"n\", algorithm=\"\"",
        "Digest realm=\"corp\", nonce=\"n\", algorithm=token",
        "Digest realm=\"corp\", nonce=\"n\", algorithm=\"MD5 \"",
        "Digest realm=\"corp\", nonce=\"n\", algorithm=\"MD5\r\nX: y\"",
        "Digest realm=\"corp\", nonce=\"n\", qop=\"auth-int\"",
        "Digest realm=\"corp\", nonce=\"n\", qop=\"authority\"",
        "Digest realm=\"corp\", nonce=\"n\", qop=\"auth\r\n\"",
        "Digest realm=\"a\r\nX: y\", nonce=\"n\"",
        "Digest realm=\"a\nb\", nonce=\"n\"",
        "Digest realm=\"corp\", nonce=\"n\r\"",
        "Digest realm=\"corp\", nonce=\"n\u{0}\"",
        "Digest realm=\"corp\", nonce=\"n\", opaque=\"\u{7F}\"",
        "Digest realm=\"corp\", nonce=\"n\", opaque=\"a\\\r\\\nb\"",
    ]

    @Test("R20 a challenge that cannot be answered is malformed and does not trap", arguments: unusable)
    func r20_malformed(_ challenge: String) throws {
        var authenticator = try digest()
        #expect(authenticator.answer(challenge) == .malformedChallenge)
    }

    @Test(
        "R20 an unusable challenge beside a usable one is ignored, and does not count as an answer",
        arguments: unusable
    )
    func r20_besideGood(_ challenge: String) throws {
        let good = "Digest realm=\"corp\", nonce=\"good\", qop=\"auth\""
        for fields in [[challenge, good], [good, challenge]] {
            var authenticator = try digest()
            _ = authenticator.answer(challenge)
            #expect(authenticator.answer(to: Challenge.parse(fields), connect).parameter("nonce") == "good")
        }
    }

    @Test(
        "R20 after an answer an unusable challenge is malformed if it is stale, otherwise a refusal",
        arguments: unusable.dropFirst(2)
    )
    func r20_afterAnswer(_ challenge: String) throws {
        let rest = challenge.dropFirst("Digest ".count)
        var authenticator = try digest()
        _ = authenticator.answer("Digest realm=\"corp\", nonce=\"n1\"")
        #expect(authenticator.answer("Digest stale=true, \(rest)") == .malformedChallenge)
        #expect(authenticator.answer(challenge) == .refused)
    }

    @Test("R20 no challenge at all is malformed at first, and a refusal later")
    func r20_none() throws {
        var authenticator = try digest()
        #expect(authenticator.answer(to: [], connect) == .malformedChallenge)
        _ = authenticator.answer("Digest realm=\"corp\", nonce=\"n1\"")
        #expect(authenticator.answer(to: [], connect) == .refused)
    }

    @Test("R20 values of any length without control characters are sent back in one field")
    func r20_long() throws {
        let long = String(repeating: "\\\"", count: 20_000)
        var authenticator = try digest()
        let answer = authenticator.answer("Digest realm=\"\(long)\", nonce=\"\t\u{E9}\u{1F600}\u{FFFD}\", opaque=\"o\"")
        #expect(answer.parameter("realm") == String(repeating: "\"", count: 20_000))
        #expect(answer.parameter("nonce") == "\t\u{E9}\u{1F600}\u{FFFD}")
        #expect(answer.parameter("opaque") == "o")
    }

    @Test("R20 the first of two equal parameters counts")
    func r20_doubled() throws {
        var authenticator = try digest()
        let answer = authenticator.answer(
            "Digest realm=\"corp\", nonce=\"n1\", nonce=\"n2\", REALM=x, qop=auth, qop=none"
        )
        #expect(answer.parameter("response") == "617019c6988356b4a623212686f5236d")
    }

    @Test("R20 random changes to a challenge give an answer that fits in a field, or an error")
    func r20_mutations() throws {
        let good = Array(
            "Digest realm=\"corp\", nonce=\"n1\", qop=\"auth\", algorithm=MD5, stale=true, opaque=\"o\"".utf8
        )
        let bytes: [UInt8] = Array("\0\t\r\n \",=\\*;aD\u{7F}".utf8) + [0x80, 0xC3, 0xFF]
        for position in good.indices {
            for byte in bytes {
                var mutated = good
                mutated[position] = byte
                var authenticator = try digest()
                let challenges = Challenge.parse([String(decoding: mutated, as: UTF8.self)])
                guard case .answer(let value) = authenticator.answer(to: challenges, connect) else { continue }
                #expect(value.utf8.allSatisfy { $0 == 0x09 || ($0 >= 0x20 && $0 != 0x7F) })
            }
        }
    }
}
