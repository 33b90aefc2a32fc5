import ByteText
import Secrets
import TestSupport
import Testing

@testable import HTTPRelay

@Suite("Lines of visitors' passwords")
struct VisitorPasswordsTests {
    /// Made with Python: `hashlib.pbkdf2_hmac("sha256", b"correct horse", bytes(range(16)), 1000)`.
    static let known =
        "alice:culvert-password-1:1000:AAECAwQFBgcICQoLDA0ODw==:yRTMTwbMbo9G0VfjobWqerzuuxe7BETNTErBbKKumGQ="

    static func made(_ user: String, _ password: String, seed: UInt64 = 1) throws -> VisitorPassword {
        var random = SplitMix64(state: seed)
        return try VisitorPassword(user: user, password: password, using: &random)
    }

    /// A line of few rounds, so that tests are quick.
    static func quick(_ user: String, _ password: String, rounds: Int = 1_000) -> String {
        let salt = Array(UInt8(0)..<16)
        let hash = PBKDF2.derive(Array(password.utf8), salt: salt, rounds: rounds)
        return "\(user):culvert-password-1:\(rounds):\(Base64.encoded(salt)):\(Base64.encoded(hash))"
    }

    @Test("The derivation is PBKDF2-HMAC-SHA-256, and its values never change")
    func derivation() throws {
        #expect(Self.quick("alice", "correct horse") == Self.known)
        let verifier = try VisitorPassword(line: Self.known)
        #expect(verifier.matches(Array("correct horse".utf8), work: 1_000))
        #expect(!verifier.matches(Array("correct horsf".utf8), work: 2_000))
    }

    @Test("A new line reads back, fits its password only, and has a salt of its own")
    func roundTrip() throws {
        let verifier = try Self.made("alice", "pässwörd: 1")
        let read = try VisitorPassword(line: verifier.line)
        #expect(read == verifier && read.user == "alice" && "\(read)" == "alice")
        #expect(read.matches(Array("pässwörd: 1".utf8), work: 1) && !read.matches(Array("pässwörd: 2".utf8), work: 1))
        #expect(try Self.made("alice", "pässwörd: 1", seed: 2).line != verifier.line)
        #expect(verifier.line.utf8.count < 120 && verifier.line.hasPrefix("alice:culvert-password-1:8192:"))
    }

    @Test(
        "A malformed line is refused",
        arguments: [
            "", "alice", "alice:secret", known + ":", ":" + known, String(known.dropFirst(5)),
            known.replacing("-1:", with: "-2:"),
            known.replacing("1000", with: "999"), known.replacing("1000", with: "8193"),
            known.replacing("1000", with: "01000"),
            known.replacing("1000", with: "+1000"), known.replacing("1000", with: "999999999999"),
            known.replacing("==", with: ""), known.replacing("==", with: "="), known.replacing("AAEC", with: "AAE"),
            known.replacing("Dw==", with: "Dx=="), String(known.dropLast()), known + "\n",
            known.replacing("alice", with: "a\u{7}"),
            known.replacing("alice", with: "#a"), known.replacing("alice", with: " a"),
            known.replacing("alice", with: String(repeating: "a", count: 200)),
        ]
    )
    func malformed(line: String) {
        #expect(throws: VisitorPassword.Unsuitable.self) { try VisitorPassword(line: line) }
    }

    @Test("A line has at most 255 bytes, on both ways")
    func longest() throws {
        let rest = Self.known.utf8.count - 5
        let user = String(repeating: "u", count: 255 - rest)
        #expect(try VisitorPassword(line: Self.known.replacing("alice", with: user)).line.utf8.count == 255)
        #expect(throws: VisitorPassword.Unsuitable.self) {
            try VisitorPassword(line: Self.known.replacing("alice", with: user + "u"))
        }
        #expect(try Self.made(user, "x").line.utf8.count == 255)
        #expect(throws: VisitorPassword.Unsuitable.self) { try Self.made(user + "u", "x") }
    }

    @Test(
        "Users and passwords that a visitor could not send are refused",
        arguments: [
            ("", "x"), ("a:b", "x"), ("a\n", "x"), ("#a", "x"), (" a", "x"), ("a ", "x"), ("a", ""), ("a", "x\ty"),
            ("a", "x\n"),
            ("a", String(repeating: "x", count: 257)),
        ]
    )
    func unsuitable(user: String, password: String) {
        let error = #expect(throws: VisitorPassword.Unsuitable.self) { try Self.made(user, password) }
        #expect(password.count < 3 || error?.description.contains(password) == false)
    }

    @Test("A file has lines, comments and empty lines, and an error names its line")
    func file() throws {
        let bob = Self.quick("bob", "b")
        let text = "# visitors\r\n\n  \(Self.known) \t\n\t# more\n\(bob)\r\n"
        #expect(try VisitorPasswords(file: text).lines == [Self.known, bob])
        #expect(try VisitorPasswords(file: bob) == VisitorPasswords(lines: [bob]))
        func reason(_ text: String) -> String {
            do throws(VisitorPassword.Unsuitable) {
                _ = try VisitorPasswords(file: text)
                return "none"
            } catch {
                return error.description
            }
        }
        #expect(reason("# only\n\nalice:secret\n").hasPrefix("line 3: the form is user:culvert-password-1:"))
        #expect(!reason("alice:secret").contains("secret"))
        #expect(reason("\(bob)\n\n\(bob)\n") == "line 3: the user bob has a line already")
        #expect(reason("# none\n").contains("culvert password"))
        #expect(reason("").contains("culvert password"))
    }

    @Test("All lines together have at most 1,536 bytes, with one for each")
    func total() throws {
        let rest = Self.known.utf8.count - 5
        // 12 lines of 128 bytes with their ends.
        let lines = (10..<22).map { "u\($0)" + String(repeating: "x", count: 127 - rest - 3) }
            .map { Self.known.replacing("alice", with: $0) }
        #expect(lines.reduce(0) { $0 + $1.utf8.count + 1 } == VisitorPasswords.longest)
        #expect(try VisitorPasswords(lines: lines).lines == lines)
        var longer = lines
        longer[0] = longer[0].replacing("u10", with: "u100")
        #expect(throws: VisitorPassword.Unsuitable.self) { try VisitorPasswords(lines: longer) }
    }

    @Test("An unknown user's check takes as many rounds as a known one's, and never succeeds")
    func decoy() throws {
        let passwords = try VisitorPasswords(lines: [Self.quick("a", "x"), Self.quick("b", "y", rounds: 2_000)])
        #expect(passwords.work == 2_000)
        let decoy = passwords.verifier(of: "nobody")
        #expect(decoy.rounds == passwords.work)
        #expect(!decoy.matches([], work: passwords.work) && !decoy.matches(Array("x".utf8), work: passwords.work))
        #expect(try VisitorPasswords(lines: []).verifier(of: "a").rounds >= 1_000)
    }

    @Test(
        "An Authorization field is read strictly",
        arguments: [
            ("Basic YWxpY2U6c2VjcmV0", "alice/secret"), ("bAsIc   YWxpY2U6c2VjcmV0", "alice/secret"),
            ("Basic YTpiOmM=", "a/b:c"), ("Basic YTo=", "a/"), ("Basic w6k6w6k=", "é/é"),
            ("Basic", nil), ("Basic ", nil), ("", nil), ("Bearer YTo=", nil), ("BasicYTo=", nil), ("Basic\tYTo=", nil),
            ("Basic YTo", nil), ("Basic YTp=", nil), ("Basic YTo==", nil), ("Basic YTo= ", nil),
            ("Basic YTo=, Basic YTo=", nil),
            ("Basic YT o=", nil), ("Basic Y-_6", nil), ("Basic YQ==", nil), ("Basic OmE=", nil),
            ("Basic YTpiCg==", nil),
            ("Basic YTpiAA==", nil), ("Basic 6To=", nil), ("Basic ====", nil),
        ] as [(String, String?)]
    )
    func credentials(field: String, expected: String?) {
        let credentials = BasicCredentials(field)
        #expect(credentials.map { "\($0.user)/\(String(decoding: $0.password, as: UTF8.self))" } == expected)
    }

    @Test("A password of 256 bytes is read, and a longer one is none")
    func longestPassword() {
        func field(_ count: Int) -> String {
            "Basic " + Base64.encoded(Array("a:".utf8) + Array(repeating: 0x78, count: count))
        }
        #expect(BasicCredentials(field(256))?.password.count == 256)
        #expect(BasicCredentials(field(257)) == nil)
        #expect(BasicCredentials("Basic " + String(repeating: "A", count: 8_000)) == nil)
    }
}
