import ByteText
import Testing

@testable import ProxyConnect

/// The published example of [MS-NLMP] section 4.2.4: user `User`, domain `Domain`, password `Password`.
private enum Example {
    static let account = NTLMAccount("Domain\\User")
    static let serverChallenge = bytes("0123456789abcdef")
    static let clientChallenge = [UInt8](repeating: 0xAA, count: 8)
    static let targetInfo = bytes("02000c0044006f006d00610069006e0001000c005300650072007600650072000000" + "0000")
}

private func bytes(_ hex: String) -> [UInt8] {
    var rest = Substring(hex.filter { !$0.isWhitespace })
    var bytes: [UInt8] = []
    while let byte = UInt8(rest.prefix(2), radix: 16) {
        bytes.append(byte)
        rest = rest.dropFirst(2)
    }
    return bytes
}

private func hex(_ bytes: some Sequence<UInt8>) -> String { Base16.encoded(bytes) }

private func number(_ bytes: [UInt8], _ offset: Int, _ count: Int) -> Int {
    bytes[offset..<offset + count].reversed().reduce(0) { $0 << 8 | Int($1) }
}

/// A field of a message, by the position of its length, capacity and offset.
private func field(_ message: [UInt8], _ place: Int) -> [UInt8] {
    let (length, offset) = (number(message, place, 2), number(message, place + 4, 4))
    return Array(message[offset..<offset + length])
}

/// A challenge as a domain controller sends it.
private func challenge(flags: UInt32 = 0x00A8_8201, info: [UInt8]?) -> [UInt8] {
    var message = NTLMChallenge.signature
    message.append(littleEndian: UInt32(2))
    message += [0, 0, 0, 0, 0, 0, 0, 0]
    message.append(littleEndian: flags)
    message += Example.serverChallenge + [0, 0, 0, 0, 0, 0, 0, 0]
    guard let info else { return message }
    message.append(littleEndian: UInt16(info.count))
    message.append(littleEndian: UInt16(info.count))
    message.append(littleEndian: UInt32(56))
    return message + [0, 0, 0, 0, 0, 0, 0, 0] + info
}

private let timestamp = bytes("0700080000e0d3a7c7f6d901")

private func authenticator(_ user: String = "Domain\\User", underNegotiate: Bool = false) throws -> NTLMAuthenticator {
    NTLMAuthenticator(
        try ProxyCredentials(user: user, password: "Password"),
        seed: AuthenticationSeed(random: Example.clientChallenge, unixTime: 0),
        underNegotiate: underNegotiate
    )
}

private let request = ProxyAuthenticationRequest(method: "CONNECT", target: "a:443")

private func offer(_ token: [UInt8]?, scheme: String = "NTLM") -> [Challenge] {
    Challenge.parse([token.map { "\(scheme) \(Base64.encoded($0))" } ?? scheme])
}

/// The client's messages in a whole exchange.
private func conversation(
    _ challenge: [UInt8],
    user: String = "Domain\\User"
) throws -> (first: [UInt8], last: [UInt8]) {
    var ntlm = try authenticator(user)
    guard case .answer(let one) = ntlm.answer(to: offer(nil), request),
        case .answer(let two) = ntlm.answer(to: offer(challenge), request),
        let first = Base64.decoded(String(one.dropFirst(5))), let last = Base64.decoded(String(two.dropFirst(5)))
    else { throw Unexpected() }
    return (first, last)
}

private struct Unexpected: Error {}

@Suite("NTLM version 2")
struct NTLMTests {
    @Test("MD4 gives RFC 1320's results")
    func md4() {
        let rows = [
            ("", "31d6cfe0d16ae931b73c59d7e0c089c0"), ("a", "bde52cb31de33e46245e05fbdbd6fb24"),
            ("abc", "a448017aaf21d8525fc10ae87aa6729d"), ("message digest", "d9130a8164549fe818874806e1c7014b"),
            ("abcdefghijklmnopqrstuvwxyz", "d79e1c308aa5bbcdeea8ed63df412da9"),
            (
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
                "043f8582f241db351ce627e153e7f0e4"
            ),
            (String(repeating: "1234567890", count: 8), "e33b4ddc9c38f2199c3e7b164fcc0536"),
        ]
        for (text, expected) in rows { #expect(hex(MD4.hash(Array(text.utf8))) == expected) }
        for length in 0..<200 { #expect(MD4.hash(Array(repeating: 1, count: length)).count == 16) }
    }

    @Test("MS-NLMP 4.2.4: the key, the proof and the session key of the published example")
    func publishedExample() {
        #expect(hex(MD4.hash("Password".utf16Bytes)) == "a4f49c406510bdcab6824ee7c30fd852")
        #expect(hex(NTLMResponse.key(Example.account, "Password")) == "0c868a403bfd7a93a3001ef22ef02e3f")
        let answer = NTLMResponse(
            account: Example.account,
            password: "Password",
            serverChallenge: Example.serverChallenge,
            clientChallenge: Example.clientChallenge,
            time: Array(repeating: 0, count: 8),
            targetInfo: Example.targetInfo
        )
        #expect(hex(answer.response.prefix(16)) == "68cd0ab851e51c96aabc927bebef6a1c")
        #expect(hex(answer.sessionKey) == "8de40ccadbc14a82f15cb0ad0de95ca3")
        #expect(
            hex(answer.response.dropFirst(16))
                == "01010000000000000000000000000000aaaaaaaaaaaaaaaa00000000" + hex(Example.targetInfo) + "00000000"
        )
    }

    @Test("The first message names no user, and offers neither NTLM 1 nor LM")
    func negotiate() throws {
        let (first, _) = try conversation(challenge(info: Example.targetInfo))
        #expect(first.count == 32)
        #expect(first.starts(with: Array("NTLMSSP\0".utf8) + [1, 0, 0, 0]))
        let flags = number(first, 12, 4)
        #expect(flags & 0x0008_0201 == 0x0008_0201)
        #expect(flags & 0x80 == 0)
        #expect(first.dropFirst(16).allSatisfy { $0 == 0 })
    }

    @Test("The answer carries domain, user and proof, and no LM answer")
    func authenticate() throws {
        let (_, last) = try conversation(challenge(info: Example.targetInfo))
        #expect(last.starts(with: Array("NTLMSSP\0".utf8) + [3, 0, 0, 0]))
        #expect(field(last, 12) == Array(repeating: 0, count: 24))
        #expect(field(last, 28) == "Domain".utf16Bytes)
        #expect(field(last, 36) == "User".utf16Bytes)
        #expect(field(last, 44).isEmpty)
        #expect(field(last, 52).isEmpty)
        // The time is this end's: 1970, in tenths of a microsecond since 1601.
        #expect(hex(field(last, 20)[24..<32]) == "00803ed5deb19d01")
        #expect(hex(field(last, 20)[32..<40]) == "aaaaaaaaaaaaaaaa")
        #expect(last[72..<88].allSatisfy { $0 == 0 })
    }

    @Test("If the proxy sends its time, the answer has an integrity code over all three messages")
    func integrity() throws {
        let info = Array(Example.targetInfo.dropLast(4)) + timestamp + [0, 0, 0, 0]
        let type2 = challenge(info: info)
        let (first, last) = try conversation(type2)
        let response = field(last, 20)
        #expect(hex(response[24..<32]) == hex(timestamp.dropFirst(4)))
        let key = NTLMResponse.key(Example.account, "Password")
        #expect(NTLMResponse.code(key, Example.serverChallenge + response.dropFirst(16)) == Array(response.prefix(16)))
        #expect(hex(response).contains("0600040002000000"))
        var bare = last
        bare.replaceSubrange(72..<88, with: Array(repeating: 0, count: 16))
        let session = NTLMResponse.code(key, Array(response.prefix(16)))
        #expect(NTLMResponse.code(session, first + type2 + bare) == Array(last[72..<88]))
    }

    @Test("Flags among the proxy's pairs are kept beside this end's")
    func keptFlags() throws {
        let info = bytes("0600040001000000") + timestamp + [0, 0, 0, 0]
        let (_, last) = try conversation(challenge(info: info))
        #expect(hex(field(last, 20)).contains("0600040003000000"))
    }

    @Test("A name with an at sign has no domain; a name outside ASCII is sent in UTF-16")
    func names() throws {
        let (_, mail) = try conversation(challenge(info: Example.targetInfo), user: "user@corp.example")
        #expect(field(mail, 28).isEmpty)
        #expect(field(mail, 36) == "user@corp.example".utf16Bytes)
        let (_, accents) = try conversation(challenge(flags: 0x0000_0202, info: nil), user: "BÜRO\\jérôme")
        #expect(field(accents, 36) == "jérôme".utf16Bytes)
        #expect(number(accents, 60, 4) & 3 == 1)
        // A sharp s has no capital of one letter.
        #expect(
            NTLMResponse.key(NTLMAccount("straße"), "x")
                == NTLMResponse.code(MD4.hash("x".utf16Bytes), "STRAßE".utf16Bytes)
        )
    }

    @Test("A proxy without Unicode and without pairs gets single-byte text and a proof")
    func oldProxy() throws {
        let (_, last) = try conversation(challenge(flags: 0x0000_0202, info: nil))
        #expect(field(last, 36) == Array("User".utf8))
        #expect(field(last, 20).count == 16 + 28 + 8)
    }

    @Test("NTLM uses the name Negotiate if configured")
    func underNegotiate() throws {
        var ntlm = try authenticator(underNegotiate: true)
        #expect(ntlm.challengeName == "negotiate")
        guard case .answer(let value) = ntlm.answer(to: offer(nil, scheme: "Negotiate"), request) else {
            throw Unexpected()
        }
        #expect(value.hasPrefix("Negotiate TlRMTVNTUAAB"))
    }

    @Test("A proxy without a challenge for the first message does not support NTLM; after the last message it refuses")
    func ends() throws {
        var ntlm = try authenticator()
        _ = ntlm.answer(to: offer(nil), request)
        var other = ntlm
        #expect(other.answer(to: offer(nil), request) == .unusable)
        _ = ntlm.answer(to: offer(challenge(flags: 0x0000_0201, info: nil)), request)
        #expect(ntlm.answer(to: offer(nil), request) == .refused)
    }

    @Test("A challenge wrapped in SPNEGO is answered in the same envelope")
    func wrapped() throws {
        let bare = challenge(info: Example.targetInfo)
        // A list of states before the message, as acceptors send it: accept-incomplete, and the mechanism.
        let state: [UInt8] = [0xA0, 0x03, 0x0A, 0x01, 0x01]
        let mechanism: [UInt8] = [0xA1, 0x0C, 0x06, 0x0A] + bytes("2b06010401823702020a")
        let token: [UInt8] = [0xA2, 0x81, UInt8(bare.count + 2), 0x04, UInt8(bare.count)] + bare
        let inner = state + mechanism + token
        let whole: [UInt8] = [0xA1, 0x81, UInt8(inner.count + 3), 0x30, 0x81, UInt8(inner.count)] + inner
        #expect(SPNEGO.message(in: whole) == bare)
        var ntlm = try authenticator(underNegotiate: true)
        _ = ntlm.answer(to: offer(nil, scheme: "Negotiate"), request)
        guard case .answer(let value) = ntlm.answer(to: offer(whole, scheme: "Negotiate"), request),
            let answer = Base64.decoded(String(value.dropFirst("Negotiate ".count)))
        else { throw Unexpected() }
        let message = try #require(SPNEGO.message(in: answer))
        #expect(message.starts(with: Array("NTLMSSP\0".utf8) + [3, 0, 0, 0]))
        #expect(field(message, 36) == "User".utf16Bytes)
        for length in 0..<whole.count { #expect(SPNEGO.message(in: Array(whole.prefix(length))) == nil) }
    }

    @Test(
        "An SPNEGO envelope reads back as written, at every length",
        arguments: [0, 1, 100, 126, 127, 128, 255, 256, 70_000]
    )
    func envelope(_ length: Int) {
        let message = Array(repeating: UInt8(7), count: length)
        #expect(SPNEGO.message(in: SPNEGO.response(message)) == message)
    }

    @Test("Of several challenges the one with a token counts")
    func severalChallenges() throws {
        var ntlm = try authenticator()
        _ = ntlm.answer(to: offer(nil), request)
        let both = offer(nil) + offer(challenge(info: Example.targetInfo))
        guard case .answer = ntlm.answer(to: both, request) else { throw Unexpected() }
    }

    @Test("R10 the password is at stake with the last message, and not before")
    func stake() throws {
        var ntlm = try authenticator()
        _ = ntlm.answer(to: offer(nil), request)
        #expect(!ntlm.risksPassword)
        _ = ntlm.answer(to: offer(challenge(info: Example.targetInfo)), request)
        #expect(ntlm.risksPassword)
    }

    @Test("R20 a challenge that points outside of itself is malformed, at every length")
    func r20_malformed() throws {
        let whole = challenge(info: Example.targetInfo)
        var rows = (0..<whole.count).map { Array(whole.prefix($0)) }
        for (place, value) in [
            (40, UInt8(0xFF)), (41, 0xFF), (44, 0xFF), (47, 0xFF), (58, 0xFF), (59, 0x7F), (8, 3), (0, 0),
        ] {
            var row = whole
            row[place] = value
            rows.append(row)
        }
        rows.append(challenge(info: Array(repeating: 1, count: 8_193)))
        for row in rows {
            var ntlm = try authenticator()
            _ = ntlm.answer(to: offer(nil), request)
            let step = ntlm.answer(to: offer(row), request)
            // An empty token counts as none.
            #expect(step == (row.isEmpty ? .unusable : .malformedChallenge), "\(hex(row))")
        }
        var ntlm = try authenticator()
        _ = ntlm.answer(to: offer(nil), request)
        #expect(ntlm.answer(to: Challenge.parse(["NTLM !!!"]), request) != .refused)
    }

    @Test("No description shows the password")
    func secrets() throws {
        let ntlm = try authenticator()
        var dumped = ""
        dump(ntlm, to: &dumped)
        #expect(!(dumped + "\(ntlm)" + String(reflecting: ntlm)).contains("Password"))
    }
}
