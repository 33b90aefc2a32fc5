import NIOSSL
import TestSupport
import Testing

@testable import TunnelAdmin
@testable import TunnelClient
@testable import TunnelCore

/// Chains as servers, proxies and clients send them, made by openssl.
@Suite("Certificates of peers")
struct CertificateVerifierTests {
    /// The certificates that the rows are made of.
    private struct Scene {
        let scenario: Scenario

        func make(
            _ name: String,
            _ properties: IssuedCertificate.Properties,
            by issuer: IssuedCertificate? = nil,
            keyOf sibling: IssuedCertificate? = nil,
            signing options: [String] = []
        ) async throws -> IssuedCertificate {
            try await IssuedCertificate.make(
                properties,
                by: issuer,
                keyOf: sibling,
                signing: options,
                in: scenario,
                named: name
            )
        }
    }

    private static func der(_ certificate: IssuedCertificate) throws -> [UInt8] {
        try #require(NIOSSLCertificate.fromPEMFile(certificate.certificate).first).toDERBytes()
    }

    private static func problem(
        _ sent: [IssuedCertificate],
        trusting anchors: [IssuedCertificate],
        for host: String? = "localhost",
        _ purpose: CertificateVerifier.Purpose = .server
    ) async throws -> CertificateProblem? {
        let verifier = CertificateVerifier(TrustAnchors(try anchors.map(der)), purpose)
        return await verifier.problem(with: try sent.map(der), for: host.map(PeerName.init))
    }

    private static let names = "DNS:localhost,IP:127.0.0.1"

    @Test("are taken with all of the chain, up to a root, an issuing CA or the certificate itself")
    func accepted() async throws {
        try await Scenario.run { scenario in
            let scene = Scene(scenario: scenario)
            let root = try await scene.make("root", .authority("Root"))
            let middle = try await scene.make("middle", .authority("Middle"), by: root)
            let leaf = try await scene.make("leaf", .leaf(Self.names), by: middle)
            let own = try await scene.make("own", .leaf(Self.names))
            #expect(try await Self.problem([leaf, middle], trusting: [root]) == nil)
            #expect(try await Self.problem([leaf, middle, root], trusting: [root]) == nil)
            #expect(try await Self.problem([leaf], trusting: [middle]) == nil, "an issuing CA is an anchor")
            #expect(try await Self.problem([leaf, middle], trusting: [middle]) == nil)
            #expect(try await Self.problem([leaf], trusting: [middle], for: nil, .client) == nil)
            #expect(try await Self.problem([leaf], trusting: [leaf]) == nil)
            #expect(try await Self.problem([own], trusting: [own]) == nil)
            #expect(try await Self.problem([leaf, middle], trusting: [root], for: "127.0.0.1") == nil)
        }
    }

    @Test(
        "work with each kind of key, in the chain and at its end",
        arguments: [
            IssuedCertificate.Properties.p256, IssuedCertificate.Properties.p521, IssuedCertificate.Properties.ed25519,
            IssuedCertificate.Properties.rsa,
        ]
    )
    func keys(_ key: [String]) async throws {
        try await Scenario.run { scenario in
            let scene = Scene(scenario: scenario)
            let root = try await scene.make("root", .authority("Root", key: key))
            let leaf = try await scene.make("leaf", .leaf(Self.names, key: key), by: root)
            #expect(try await Self.problem([leaf], trusting: [root]) == nil)
        }
    }

    @Test("are refused with the reason, and with the CA that it lies with")
    func refused() async throws {
        try await Scenario.run { scenario in
            let scene = Scene(scenario: scenario)
            let root = try await scene.make("root", .authority("Root"))
            let middle = try await scene.make("middle", .authority("Middle"), by: root)
            let leaf = try await scene.make("leaf", .leaf(Self.names), by: middle)
            let other = try await scene.make("other", .authority("Other"))
            let own = try await scene.make("own", .leaf(Self.names))
            let impostor = try await scene.make("impostor", .authority("Middle"))
            #expect(try await Self.problem([], trusting: [root]) == .unreadable)
            #expect(try await Self.problem([leaf], trusting: [root]) == .unknownIssuer("\"Middle\""))
            #expect(try await Self.problem([leaf, middle, root], trusting: [other]) == .unknownRoot("\"Root\""))
            #expect(try await Self.problem([leaf, middle], trusting: [other]) == .unknownIssuer("\"Root\""))
            #expect(try await Self.problem([own], trusting: [root]) == .selfSigned)
            #expect(try await Self.problem([leaf, impostor], trusting: [root]) == .otherKey("\"Middle\""))
            #expect(try await Self.problem([leaf], trusting: [impostor]) == .otherKey("\"Middle\""))
            #expect(
                try await Self.problem([leaf, middle], trusting: [root], for: "other.example")
                    == .wrongName(["localhost", "127.0.0.1"])
            )
            #expect(try await Self.problem([leaf], trusting: []) == .unknownIssuer("\"Middle\""))
        }
    }

    @Test("are refused where one of the chain has expired, and the reason says which")
    func expired() async throws {
        try await Scenario.run { scenario in
            let scene = Scene(scenario: scenario)
            let root = try await scene.make("root", .authority("Root"))
            let oldRoot = try await scene.make("old-root", .authority("Old root", days: -1))
            let oldMiddle = try await scene.make("old-middle", .authority("Old middle", days: -1), by: root)
            let old = try await scene.make("old", .leaf(Self.names, days: -1), by: root)
            let below = try await scene.make("below", .leaf(Self.names), by: oldMiddle)
            let under = try await scene.make("under", .leaf(Self.names), by: oldRoot)
            func expired(_ problem: CertificateProblem?) -> CertificateProblem.Link? {
                guard case .expired(let link, _)? = problem else { return nil }
                return link
            }
            #expect(expired(try await Self.problem([old], trusting: [root])) == .leaf)
            #expect(expired(try await Self.problem([old], trusting: [old])) == .leaf)
            let middle = CertificateProblem.Link.intermediate("\"Old middle\"")
            #expect(expired(try await Self.problem([below, oldMiddle], trusting: [root])) == middle)
            #expect(expired(try await Self.problem([under], trusting: [oldRoot])) == .anchor("\"Old root\""))
            #expect(expired(try await Self.problem([below], trusting: [oldMiddle])) == .anchor("\"Old middle\""))
        }
    }

    @Test("are refused where a certificate is used for what it may not be used for")
    func misused() async throws {
        try await Scenario.run { scenario in
            let scene = Scene(scenario: scenario)
            let root = try await scene.make("root", .authority("Root"))
            let rsa = try await scene.make("rsa", .authority("RSA", key: IssuedCertificate.Properties.rsa))
            let client = try await scene.make(
                "client",
                .leaf(Self.names, ["extendedKeyUsage=clientAuth"]),
                by: root
            )
            let server = try await scene.make(
                "server",
                .leaf(Self.names, ["extendedKeyUsage=serverAuth"]),
                by: root
            )
            let leaf = try await scene.make("leaf", .leaf(Self.names), by: root)
            let child = try await scene.make("child", .leaf(Self.names), by: leaf)
            let noSigner = try await scene.make(
                "no-signer",
                .authority("No signer", ["keyUsage=critical,digitalSignature"]),
                by: root
            )
            let unsigned = try await scene.make("unsigned", .leaf(Self.names), by: noSigner)
            let odd = try await scene.make("odd", .leaf(Self.names, ["1.2.3.4=critical,DER:0500"]), by: root)
            let narrow = try await scene.make(
                "narrow",
                .authority("Narrow", ["nameConstraints=critical,permitted;DNS:lab.example"]),
                by: root
            )
            let outside = try await scene.make("outside", .leaf("DNS:localhost"), by: narrow)
            let inside = try await scene.make("inside", .leaf("DNS:a.lab.example"), by: narrow)
            #expect(try await Self.problem([client], trusting: [root]) == .wrongPurpose(.leaf))
            #expect(try await Self.problem([client], trusting: [root], for: nil, .client) == nil)
            #expect(try await Self.problem([server], trusting: [root]) == nil)
            #expect(try await Self.problem([server], trusting: [root], for: nil, .client) == .wrongPurpose(.leaf))
            let pss = ["-sigopt", "rsa_padding_mode:pss"]
            let odder = try await scene.make("pss", .leaf(Self.names), by: rsa, signing: pss)
            #expect(try await Self.problem([odder], trusting: [rsa]) == .unreadable)
            let odderCA = try await scene.make("pss-ca", .authority("PSS"), by: rsa, signing: pss)
            let belowOdder = try await scene.make("below-pss", .leaf(Self.names), by: odderCA)
            #expect(try await Self.problem([belowOdder, odderCA], trusting: [rsa]) == .unreadableIssuer("\"PSS\""))
            let intermediate = CertificateProblem.Link.intermediate("\"localhost\"")
            #expect(try await Self.problem([child, leaf], trusting: [root]) == .notAnAuthority(intermediate))
            #expect(
                try await Self.problem([unsigned, noSigner], trusting: [root])
                    == .notAnAuthority(.intermediate("\"No signer\""))
            )
            #expect(try await Self.problem([odd], trusting: [root]) == .unknownExtension(.leaf, "1.2.3.4"))
            #expect(try await Self.problem([outside, narrow], trusting: [root]) == .nameConstraints)
            #expect(try await Self.problem([inside, narrow], trusting: [root], for: "a.lab.example") == nil)
        }
    }

    @Test("are looked at up to a bound, and variants of one CA do not make the search long")
    func bounded() async throws {
        try await Scenario.run { scenario in
            let scene = Scene(scenario: scenario)
            let root = try await scene.make("root", .authority("Root"))
            let leaf = try await scene.make("leaf", .leaf(Self.names), by: root)
            let most = CertificateVerifier.maximumCertificates
            let atLimit = Array(repeating: leaf, count: most)
            #expect(try await Self.problem(atLimit, trusting: [root]) == nil)
            #expect(try await Self.problem(atLimit + [leaf], trusting: [root]) == .tooMany(most))
            // One key and one name that signs itself with ever other extensions: each could stand above each.
            let loop = try await scene.make("loop", .authority("Loop"))
            var variants: [IssuedCertificate] = []
            for number in 0..<(most - 1) {
                let variant = try await scene.make(
                    "variant-\(number)",
                    .authority("Loop", ["subjectAltName=DNS:\(number).example"]),
                    by: loop,
                    keyOf: loop
                )
                variants.append(variant)
            }
            let below = try await scene.make("below", .leaf(Self.names), by: loop)
            #expect(try await Self.problem([below] + variants, trusting: [root]) == .unknownRoot("\"Loop\""))
        }
    }

    @Test("that are odd bytes are refused, and never stop the program")
    func oddBytes() async throws {
        let verifier = CertificateVerifier(TrustAnchors([[], [0x30], Array(repeating: 0x30, count: 100)]), .server)
        for bytes: [UInt8] in [[], [0], [0x30, 0x80], Array(repeating: 0x30, count: 4_096)] {
            #expect(await verifier.problem(with: [bytes], for: PeerName("localhost")) == .unreadable)
        }
    }

    @Test("that were changed on the way are refused, whatever was changed, and never stop the program")
    func mutated() async throws {
        try await Scenario.run { scenario in
            let scene = Scene(scenario: scenario)
            let root = try await scene.make("root", .authority("Root"))
            let middle = try await scene.make("middle", .authority("Middle"), by: root)
            let leaf = try await scene.make("leaf", .leaf(Self.names), by: middle)
            let verifier = CertificateVerifier(TrustAnchors([try Self.der(root)]), .server)
            let chain = try [leaf, middle].map(Self.der)
            var random = Fuzzing.generator(13)
            let end = ContinuousClock.now + Fuzzing.time
            while ContinuousClock.now < end {
                let changed = chain.map { Fuzzing.mutate($0, &random) }
                let problem = await verifier.problem(with: changed, for: PeerName("localhost"))
                if changed != chain { #expect(problem != nil, "\(changed)") }
                if let problem { #expect(InternalNames.first(in: problem.sentence(of: "localhost")) == nil) }
            }
        }
    }
}
