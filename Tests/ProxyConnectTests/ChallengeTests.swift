import ProxyConnect
import Testing

@Suite("Challenges")
struct ChallengeTests {
    /// A short form: `Scheme`, `Scheme token68`, `Scheme name=value|name=value`.
    private func summary(_ values: [String]) -> [String] {
        Challenge.parse(values).map { challenge in
            let parameters = challenge.parameters.map { "\($0.name)=\($0.value)" }.joined(separator: "|")
            return ([challenge.scheme] + [challenge.token68 ?? parameters].filter { !$0.isEmpty }).joined(
                separator: " "
            )
        }
    }

    @Test(
        "R9 several challenges are read from one field and from several fields",
        arguments: [
            ([], []),
            ([""], []),
            (["Basic realm=\"x\""], ["Basic realm=x"]),
            (["Negotiate", "NTLM", "Basic realm=\"x\""], ["Negotiate", "NTLM", "Basic realm=x"]),
            (["Negotiate, NTLM,Basic realm=x"], ["Negotiate", "NTLM", "Basic realm=x"]),
            (
                ["Basic realm=\"a, b\", charset=\"UTF-8\", Digest realm=\"x\", nonce=\"n\", qop=\"auth,auth-int\""],
                ["Basic realm=a, b|charset=UTF-8", "Digest realm=x|nonce=n|qop=auth,auth-int"]
            ),
            (["Basic realm=\"say \\\"hi\\\" \\\\\""], ["Basic realm=say \"hi\" \\"]),
            (["NTLM TlRMTVNTUAACAAAA=="], ["NTLM TlRMTVNTUAACAAAA=="]),
            (["NTLM abc+/=, Basic realm=x"], ["NTLM abc+/=", "Basic realm=x"]),
            (
                ["Newauth realm=\"apps\", type=1, title=\"Login to \\\"apps\\\"\", Basic realm=\"simple\""],
                ["Newauth realm=apps|type=1|title=Login to \"apps\"", "Basic realm=simple"]
            ),
            (["Basic realm = \"x\" , a\t=\tb"], ["Basic realm=x|a=b"]),
            ([" , ,Basic   realm=x,, ,Other"], ["Basic realm=x", "Other"]),
            (["Basic realm=\"\""], ["Basic realm="]),
            (["Basic realm=a b"], ["Basic realm=a"]),
            (["Basic realm=http://proxy/"], ["Basic realm=http://proxy/"]),
            (["Basic realm=\"x"], ["Basic"]),
            (["Basic realm=\"x\\"], ["Basic"]),
            (["Basic realm=\"x\"y, NTLM"], ["Basic realm=x"]),
            (["=, Basic"], []),
            (["Basic =x"], ["Basic"]),
            (["\"Basic\""], []),
            (["Digest a=1, a=2"], ["Digest a=1|a=2"]),
            (["Basic realm=\"x", "NTLM"], ["Basic", "NTLM"]),
            (["basic"], ["basic"]),
            (["Digest realm=\"x\", opaque=, nonce=n"], ["Digest realm=x|opaque=|nonce=n"]),
            (["Digest realm=x, opaque="], ["Digest realm=x|opaque="]),
            (["Digest realm=x, opaque= , nonce=n, NTLM"], ["Digest realm=x|opaque=|nonce=n", "NTLM"]),
            (["Digest opaque=, nonce=\"n\", Basic realm=x"], ["Digest opaque=|nonce=n", "Basic realm=x"]),
            (["NTLM abc=,Basic\trealm=x"], ["NTLM abc=", "Basic realm=x"]),
            (["Digest realm=\"x\" nonce=\"y\"\tqop=auth"], ["Digest realm=x|nonce=y|qop=auth"]),
            (["Digest realm=x nonce = y , opaque=z"], ["Digest realm=x|nonce=y|opaque=z"]),
            (["Basic\trealm=\"x\", NTLM \t abc="], ["Basic realm=x", "NTLM abc="]),
            (["Basic realm=a b, NTLM"], ["Basic realm=a"]),
            (["Digest qop=auth,auth-int, nonce=\"n\""], ["Digest qop=auth,auth-int|nonce=n"]),
            (["Digest QOP=auth-int , auth nonce=n"], ["Digest QOP=auth-int,auth|nonce=n"]),
            (["Digest qop=auth,auth-int"], ["Digest qop=auth,auth-int"]),
            (["Digest nonce=n, qop=auth,auth-int, NTLM"], ["Digest nonce=n|qop=auth,auth-int", "NTLM"]),
            (["Digest qop=auth, Basic realm=x"], ["Digest qop=auth", "Basic realm=x"]),
            (["Digest qop=auth, NTLM, Basic realm=x"], ["Digest qop=auth", "NTLM", "Basic realm=x"]),
            (["Digest qop=auth, auth=1"], ["Digest qop=auth|auth=1"]),
            (["Digest qop=\"auth\",auth-int, nonce=n"], ["Digest qop=auth,auth-int|nonce=n"]),
            (["Digest realm=x, qop=,auth, nonce=n"], ["Digest realm=x|qop=,auth|nonce=n"]),
        ] as [([String], [String])]
    )
    func r9_challenges(_ values: [String], _ expected: [String]) {
        #expect(summary(values) == expected)
    }

    @Test("Parameters are found without case, and the first of equal names counts")
    func parameter() {
        let challenge = Challenge.parse(["Digest Realm=\"x\", realm=y"]).first
        #expect(challenge?.parameter("rEALM") == "x")
        #expect(challenge?.parameter("nonce") == nil)
    }

    @Test("R9 the numbers of challenges and parameters are limited")
    func bounded() {
        let many = Array(repeating: "NTLM", count: Challenge.limit)
        #expect(Challenge.parse([many.joined(separator: ", ")]).count == Challenge.limit)
        #expect(Challenge.parse([(many + ["NTLM"]).joined(separator: ", ")]).count == Challenge.limit)
        #expect(Challenge.parse(many + ["NTLM"]).count == Challenge.limit)
        let parameters = (0...Challenge.limit).map { "p\($0)=x" }.joined(separator: ", ")
        #expect(Challenge.parse(["Digest \(parameters), NTLM"]).map(\.parameters.count) == [Challenge.limit])
        #expect(Challenge.parse([String(repeating: ",", count: 60_000)]).isEmpty)
        #expect(Challenge.parse([String(repeating: "a ", count: 30_000)]).count <= Challenge.limit)
        let list = "Digest qop=auth" + String(repeating: ",auth", count: 10_000)
        #expect(Challenge.parse([list]).first?.parameters.first?.value.utf8.count == 4 + 5 * 10_000)
    }
}
