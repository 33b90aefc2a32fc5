import ByteText
import Testing

@testable import Mux

/// The rules for tokens and verifier lines (protocol page, section 5).
@Suite struct TokenTests {
    static let text = "correct-horse-battery-staple"

    /// A text of `count` different characters.
    private static func letters(_ count: Int, from first: UInt32 = 0x4E00) -> String {
        String(String.UnicodeScalarView((0..<UInt32(count)).compactMap { Unicode.Scalar(first + $0) }))
    }

    @Test(
        "a token that repeats a shorter text is refused, and the error says so",
        arguments: [
            (String(repeating: "x", count: 22), true), (String(repeating: "é", count: 40), true),
            (String(repeating: "ab", count: 12), true), (String(repeating: "secret!", count: 5) + "sec", true),
            ("0123456789012345678901", true), ("correct-horse-battery-staple", false),
            ("aaaaaaaaaaaaaaaaaaaaab", false), ("culvert1culvert2culvert3", false),
        ]
    )
    func repetitions(text: String, isRefused: Bool) {
        do throws(Token.Unsuitable) {
            _ = try Token(text)
            #expect(!isRefused)
        } catch {
            #expect(isRefused && error.description.hasPrefix("the token repeats a shorter text"))
        }
    }

    @Test(
        "A2 a token has 22 to 1,024 printable characters",
        arguments: [
            (letters(22), true), (letters(21), false), (letters(21) + "\n", false), (letters(22, from: 0xE0), true),
            (letters(1_024), true), (letters(1_025), false), (letters(1_024) + "\n", true), ("", false), ("\n", false),
            (letters(22) + "\n\n", false), ("xxxxxxxxxxxx\txxxxxxxxxxxxxx", false),
            ("xxxxxxxxxxxx\u{0}xxxxxxxxxxxxxx", false), ("xxxxxxxxxxxx\u{202e}xxxxxxxxxxxxxx", false),
            ("a space is printable, too", true),
        ]
    )
    func rules(text: String, isFine: Bool) {
        do throws(Token.Unsuitable) {
            _ = try Token(text)
            #expect(isFine)
        } catch {
            #expect(!isFine)
            #expect(text.count < 3 || !error.description.contains(text), "A9 the reason never holds the text")
        }
    }

    @Test("one trailing line end is not part of the token", arguments: ["\n", "\r\n"])
    func lineEnd(end: String) throws {
        #expect(try Token(Self.text + end).credentials().id == Token(Self.text).credentials().id)
    }

    @Test("A9 tokens, credentials and verifiers never show their secrets")
    func hidden() throws {
        let token = try Token(Self.text)
        let credentials = token.credentials()
        let verifier = credentials.verifier
        var shown =
            "\(token) \(String(reflecting: token)) \(credentials) \(String(reflecting: credentials)) \(verifier)"
        dump(token, to: &shown)
        dump(credentials, to: &shown)
        dump(verifier, to: &shown)
        dump([token], to: &shown)
        #expect("\(token)" == "***")
        #expect(!shown.contains(Self.text))
        for secret in [verifier.storedKey, verifier.serverKey, credentials.clientKey.bytes, Array(Self.text.utf8)] {
            #expect(!shown.contains(Base16.encoded(secret)))
            #expect(!shown.contains(secret.prefix(4).map(String.init).joined(separator: ", ")))
        }
    }

    @Test("the derivation is that of the protocol page, and its values never change")
    func derivation() throws {
        // Computed with Python's hashlib.pbkdf2_hmac and hmac.
        let line = try Token(Self.text).credentials().verifier.line
        #expect(line == Self.knownLine)
    }

    static let knownLine =
        "culvert1:5901a02b3bec9d7b26b0639d24cc63de:2ba835dd2f9434a23b027ee1448285fe"
        + "b24fe1e47d06d0fc5d3dc88d14c87a83:8de6cb4a496f6060fcb2ac6dc4a2e7783fc3466666d038155763fbf59892c12a"

    @Test("a verifier line reads back as the same verifier")
    func roundTrip() throws {
        let verifier = try Token(Self.text).credentials().verifier
        #expect(Verifier(line: verifier.line) == verifier)
        #expect(Verifier(line: verifier.line.uppercased().replacing("CULVERT", with: "culvert")) == verifier)
    }

    @Test("a malformed verifier line is refused")
    func noVerifier() throws {
        let line = try Token(Self.text).credentials().verifier.line
        var wrong = [
            "", "culvert1", "culvert1:::", ":::", line + ":", " " + line, line + "\n", String(line.dropLast()),
        ]
        wrong += [
            line + "00", "culvert2" + line.dropFirst(8), String(line.dropLast()) + "g", line.replacing(":", with: ";"),
        ]
        for line in wrong {
            #expect(Verifier(line: line) == nil, "\(line)")
        }
    }

    @Test("A2 a random token is accepted, and no two are equal")
    func random() throws {
        var generator = SystemRandomNumberGenerator()
        let tokens = (0..<100).map { _ in Token.random(using: &generator) }
        #expect(Set(tokens).count == 100)
        for token in tokens {
            #expect(token.count == 32)
            _ = try Token(token)
        }
    }
}
