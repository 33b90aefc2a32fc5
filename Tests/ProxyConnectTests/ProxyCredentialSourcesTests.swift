import ProxyConnect
import Testing

@Suite("Sources of a proxy's credentials")
struct ProxyCredentialSourcesTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let name: String
        let url: String
        var user: String?
        var password: String?
        var netrc: String?
        let expected: String?
        var testDescription: String { name }
    }

    private static let netrc = """
        machine p login alice password of-alice
        machine p login bob password of-bob
        machine q login carol password of-carol
        """

    static let rows: [Row] = [
        Row(name: "no source has credentials", url: "http://p", expected: nil),
        Row(name: "the URL wins", url: "http://a:b@p", user: "c", password: "d", netrc: netrc, expected: "a b"),
        Row(name: "the options come next", url: "http://p", user: "c", password: "d", netrc: netrc, expected: "c d"),
        Row(name: "netrc's entry for the host comes last", url: "http://q", netrc: netrc, expected: "carol of-carol"),
        Row(name: "a host without an entry has no credentials", url: "http://r", netrc: netrc, expected: nil),
        Row(
            name: "netrc has the password of the user that was given",
            url: "http://p",
            user: "bob",
            netrc: netrc,
            expected: "bob of-bob"
        ),
        Row(name: "or of the URL's user", url: "http://bob@p", user: "alice", netrc: netrc, expected: "bob of-bob"),
        Row(name: "a separate password is for the URL's user", url: "http://bob@p", password: "x", expected: "bob x"),
        Row(name: "a password without a user is not used", url: "http://p", password: "x", expected: nil),
        Row(name: "an explicit empty password is used", url: "http://p", user: "c", password: "", expected: "c "),
        Row(name: "also after a colon in the URL", url: "http://c:@p", user: "d", password: "e", expected: "c "),
        Row(name: "an empty user stands for a ticket", url: "http://p", user: "", password: "", expected: nil),
        Row(name: "backslash, at sign and colon", url: "http://CORP%5Cme%40x:a%3Ab@p", expected: "CORP\\me@x a:b"),
    ]

    @Test("The first source with credentials is used", arguments: rows)
    func order(_ row: Row) throws {
        var sources = ProxyCredentialSources()
        (sources.user, sources.password) = (row.user, row.password)
        sources.netrc = try row.netrc.map { text in try Netrc(text) }
        let credentials = try sources.credentials(for: ProxyURL(row.url))
        #expect(credentials.map { "\($0.user) \($0.password)" } == row.expected)
    }

    @Test("R10 a user without a password in any source is an error, not an attempt with an empty one")
    func noPassword() throws {
        var sources = ProxyCredentialSources()
        sources.user = "alice"
        #expect(throws: ProxyCredentialsFailure.noPassword(user: "alice")) {
            try sources.credentials(for: ProxyURL("http://p"))
        }
    }

    @Test("A password given with one user is not used for another")
    func othersPassword() throws {
        var sources = ProxyCredentialSources()
        (sources.user, sources.password) = ("alice", "of-alice")
        #expect(throws: ProxyCredentialsFailure.noPassword(user: "bob")) {
            try sources.credentials(for: ProxyURL("http://bob@p"))
        }
        let alice = try sources.credentials(for: ProxyURL("http://alice@p"))
        #expect(alice?.password == "of-alice")
    }

    @Test("No description shows the contents of the sources")
    func secrets() {
        var sources = ProxyCredentialSources()
        sources.password = "secret"
        var dumped = ""
        dump(sources, to: &dumped)
        #expect(!(dumped + "\(sources)" + String(reflecting: sources)).contains("secret"))
    }
}
