import ByteText
import NetworkAddress
import Testing

@testable import HTTPRelay

@Suite("Logins of visitors")
struct VisitorLoginsTests {
    private static let address = IPAddress("192.0.2.1")

    /// The result of a request, with whether its password was checked.
    private struct Outcome: Equatable, CustomStringConvertible {
        let description: String

        init(_ decision: VisitorLogins.Decision, checked: Bool) {
            let text =
                switch decision {
                case .permitted(let user): user
                case .unauthorized: "401"
                case .tooMany(let seconds): "429 \(seconds)"
                case .undecided: "undecided"
                }
            description = checked ? "\(text) checked" : text
        }
    }

    private static func field(_ user: String, _ password: String) -> String {
        "Basic " + Base64.encoded(Array("\(user):\(password)".utf8))
    }

    private static func request(
        _ logins: inout VisitorLogins,
        _ field: String?,
        _ passwords: VisitorPasswords,
        from address: IPAddress? = address,
        at seconds: Double = 0
    ) -> String {
        let now = Duration.seconds(seconds)
        let decision = logins.check(field, against: passwords, from: address, at: now)
        guard case .undecided(let attempt) = decision else { return Outcome(decision, checked: false).description }
        let result = logins.finish(attempt, isRight: attempt.isRight(), at: now)
        return Outcome(result, checked: true).description
    }

    private static func passwords(_ pairs: (String, String)...) throws -> VisitorPasswords {
        try VisitorPasswords(lines: pairs.map { VisitorPasswordsTests.quick($0.0, $0.1) })
    }

    @Test("A right password is checked once, and a wrong one each time")
    func remembered() throws {
        let passwords = try Self.passwords(("alice", "x"), ("bob", "y"))
        var logins = VisitorLogins(key: Array(repeating: 1, count: 32))
        #expect(Self.request(&logins, nil, passwords) == "401")
        #expect(Self.request(&logins, "Bearer x", passwords) == "401")
        #expect(Self.request(&logins, Self.field("alice", "x"), passwords) == "alice checked")
        #expect(Self.request(&logins, Self.field("alice", "x"), passwords) == "alice")
        #expect(Self.request(&logins, Self.field("alice", "x"), passwords, from: nil) == "alice")
        #expect(Self.request(&logins, Self.field("alice", "y"), passwords) == "401 checked")
        #expect(Self.request(&logins, Self.field("alice", "y"), passwords) == "401 checked")
        #expect(Self.request(&logins, Self.field("bob", "x"), passwords) == "401 checked")
        #expect(Self.request(&logins, Self.field("nobody", "x"), passwords) == "401 checked")
        #expect(Self.request(&logins, Self.field("bob", "y"), passwords) == "bob checked")
    }

    @Test("A remembered password is not right for another name, nor after its line has changed")
    func changed() throws {
        let (before, after) = (try Self.passwords(("alice", "x")), try Self.passwords(("alice", "z")))
        var logins = VisitorLogins(key: Array(repeating: 1, count: 32))
        #expect(Self.request(&logins, Self.field("alice", "x"), before) == "alice checked")
        #expect(Self.request(&logins, Self.field("alice", "x"), after) == "401 checked")
        #expect(Self.request(&logins, Self.field("alice", "x"), try Self.passwords(("bob", "x"))) == "401 checked")
        #expect(Self.request(&logins, Self.field("alice", "x"), before) == "alice")
    }

    @Test("After five wrong passwords an address waits for 1, 2, 4 and more seconds, and its remembered users do not")
    func paced() throws {
        let passwords = try Self.passwords(("alice", "x"), ("bob", "y"))
        var logins = VisitorLogins(key: [1])
        #expect(Self.request(&logins, Self.field("bob", "y"), passwords) == "bob checked")
        for _ in 0..<5 { #expect(Self.request(&logins, Self.field("alice", "y"), passwords) == "401 checked") }
        #expect(Self.request(&logins, Self.field("alice", "x"), passwords) == "429 1")
        #expect(Self.request(&logins, Self.field("bob", "y"), passwords) == "bob")
        #expect(
            Self.request(&logins, Self.field("alice", "x"), passwords, from: IPAddress("192.0.2.2")) == "alice checked"
        )
        #expect(Self.request(&logins, Self.field("alice", "y"), passwords, at: 0.5) == "429 1")
        #expect(Self.request(&logins, Self.field("alice", "y"), passwords, at: 1) == "401 checked")
        #expect(Self.request(&logins, Self.field("alice", "y"), passwords, at: 1) == "429 2")
        #expect(Self.request(&logins, Self.field("bob", "z"), passwords, at: 3) == "401 checked")
        #expect(Self.request(&logins, Self.field("bob", "z"), passwords, at: 3.5) == "429 4")
    }

    @Test("No more right passwords are remembered than the limit, and the one used last stays")
    func bounded() throws {
        let passwords = try Self.passwords(("alice", "x"))
        var pacing = PasswordPacing()
        pacing.checksPerSecond = 1_000_000
        pacing.freeTries = 1_000_000
        var logins = VisitorLogins(key: [1], pacing: pacing)
        /// Takes any password as right, without a check.
        func learn(_ password: String) {
            let decision = logins.check(Self.field("alice", password), against: passwords, from: nil, at: .zero)
            guard case .undecided(let attempt) = decision else { return }
            _ = logins.finish(attempt, isRight: true, at: .zero)
        }
        func isKnown(_ password: String) -> Bool {
            let decision = logins.check(Self.field("alice", password), against: passwords, from: nil, at: .zero)
            if case .permitted = decision { return true }
            return false
        }
        learn("first")
        for number in 1..<VisitorLogins.remembered { learn("\(number)") }
        #expect(isKnown("first"))
        learn("one more")
        #expect(isKnown("first") && isKnown("one more") && !isKnown("1") && isKnown("2"))
    }
}

@Suite("The pace of passwords")
struct PasswordPacingTests {
    private static let address = IPAddress("192.0.2.1")

    /// Wrong tries at these seconds, and what each got.
    private static func tries(
        _ pacing: inout PasswordPacing,
        _ address: IPAddress? = address,
        at seconds: [Double]
    ) -> [Int?] {
        seconds.map { pacing.admit(address, at: .seconds($0)) }
    }

    @Test("The delay doubles up to a minute, and a refused try does not add to it")
    func doubling() {
        var pacing = PasswordPacing()
        #expect(Self.tries(&pacing, at: [0, 0, 0, 0, 0, 0, 0.9]) == [nil, nil, nil, nil, nil, 1, 1])
        var now = 1.0
        for delay in [2, 4, 8, 16, 32, 60, 60] {
            #expect(Self.tries(&pacing, at: [now, now, now + Double(delay) - 0.5]) == [nil, delay, 1], "\(delay)")
            now += Double(delay)
        }
    }

    @Test("Tries are forgotten after a minute without any, and not before")
    func forgotten() {
        var pacing = PasswordPacing()
        #expect(Self.tries(&pacing, at: [0, 0, 0, 0]) == [nil, nil, nil, nil])
        #expect(Self.tries(&pacing, at: [59.9, 59.9]) == [nil, 1])
        // Closed until 60.9, forgotten at 120.9.
        #expect(Self.tries(&pacing, at: [120.8, 120.8]) == [nil, 2])
        #expect(Self.tries(&pacing, at: [183, 183, 183, 183, 183, 183]) == [nil, nil, nil, nil, nil, 1])
    }

    @Test("A right password takes its try back, and not the wrong ones before it")
    func right() {
        var pacing = PasswordPacing()
        for _ in 0..<10 {
            #expect(pacing.admit(Self.address, at: .zero) == nil)
            pacing.wasRight(Self.address, at: .zero)
        }
        #expect(pacing.count == 0)
        #expect(Self.tries(&pacing, at: [1, 1, 1, 1]) == [nil, nil, nil, nil])
        #expect(pacing.admit(Self.address, at: .seconds(1)) == nil)
        pacing.wasRight(Self.address, at: .seconds(1))
        #expect(Self.tries(&pacing, at: [1, 1]) == [nil, 1])
        pacing.wasRight(IPAddress("203.0.113.1"), at: .zero)
    }

    @Test("Checks that run at once are counted before their results, so they are no way around the limit")
    func concurrent() {
        var pacing = PasswordPacing()
        let admitted = (0..<50).filter { _ in pacing.admit(Self.address, at: .zero) == nil }
        #expect(admitted.count == pacing.freeTries)
    }

    @Test("A /64 of IPv6 is one address, an IPv4-mapped one is IPv4, and visitors without an address are one")
    func subscribers() {
        for (one, other) in [("2001:db8::1", "2001:db8::ffff:1"), ("192.0.2.1", "::ffff:192.0.2.1")] {
            var pacing = PasswordPacing()
            _ = Self.tries(&pacing, IPAddress(one), at: [0, 0, 0, 0, 0])
            #expect(Self.tries(&pacing, IPAddress(other), at: [0]) == [1])
            #expect(Self.tries(&pacing, IPAddress("2001:db8:0:1::1"), at: [0]) == [nil])
            #expect(Self.tries(&pacing, nil, at: [0, 0, 0, 0, 0, 0]) == [nil, nil, nil, nil, nil, 1])
        }
    }

    @Test("All addresses together have 20 checks in a second, and as many at once")
    func total() {
        var pacing = PasswordPacing()
        func admitted(_ count: Int, at seconds: Double, from first: Int) -> Int {
            (0..<count).filter { pacing.admit(IPAddress.v4(UInt32(first + $0)), at: .seconds(seconds)) == nil }.count
        }
        #expect(admitted(100, at: 10, from: 0) == 20)
        #expect(pacing.admit(IPAddress.v4(1_000), at: .seconds(10)) == 1)
        #expect(admitted(100, at: 10.5, from: 200) == 10)
        #expect(admitted(100, at: 100, from: 400) == 20)
        #expect(pacing.count < 100, "a refused try takes no place")
    }

    @Test("No more addresses are remembered than the limit: old ones go first")
    func bounded() {
        var pacing = PasswordPacing()
        pacing.rememberedAddresses = 8
        pacing.checksPerSecond = 1_000
        _ = Self.tries(&pacing, at: [0, 0, 0, 0, 0])
        for number in 0..<20 { _ = Self.tries(&pacing, IPAddress.v4(UInt32(number)), at: [0.5]) }
        #expect(pacing.count == 8)
        #expect(Self.tries(&pacing, at: [0.9]) == [1], "the address that is closed longest stays")
        _ = Self.tries(&pacing, IPAddress.v4(99), at: [1_000])
        #expect(pacing.count == 1)
    }
}
