import Foundation
import Logging
import NIOSSL
import Synchronization
import TestSupport
import Testing
import X509

@testable import ACME
@testable import TunnelServer

@Suite("Certificates that a server gets by itself", .timeLimit(.minutes(2)))
struct ACMECertificatesTests {
    /// A CA that looks at what the server shows, as a real one does over the network.
    private final class Looker: Sendable {
        let certificates = Mutex<ACMECertificates?>(nil)
        let seen = Mailbox<String>()

        func sees(_ kind: String, _ name: String, _ token: String, _ thumbprint: String) -> Bool {
            seen.put("\(kind) \(name)")
            guard let certificates = certificates.withLock({ $0 }) else { return false }
            guard kind == "tls-alpn-01" else {
                return certificates.challenge(token: token) == "\(token).\(thumbprint)"
            }
            guard let shown = certificates.alpnCertificate(for: name), case .certificate(let own)? = shown.chain.first,
                let read = try? X509.Certificate(derEncoded: own.toDERBytes())
            else { return false }
            return read.extensions[oid: [1, 3, 6, 1, 5, 5, 7, 1, 31]]?.critical == true
        }
    }

    private static func run(
        _ body: (_ server: FakeAuthorityServer, _ looker: Looker, _ storage: String) async throws -> Void
    ) async throws {
        try await Scenario.run { scenario in
            let looker = Looker()
            let ca = try FakeAuthority { looker.sees($0, $1, $2, $3) }
            try await body(FakeAuthorityServer(ca), looker, "\(scenario.directory)/acme")
        }
    }

    private static func start(
        _ server: FakeAuthorityServer,
        _ looker: Looker,
        _ storage: String,
        challenges: Set<ChallengeKind> = [.http01, .tlsALPN01],
        time: TestTime = TestTime()
    ) throws -> CertificateRig {
        let rig = try CertificateRig(server.directory, storage: storage, challenges: challenges, time: time)
        looker.certificates.withLock { $0 = rig.certificates }
        return rig
    }

    private static func mode(_ path: String) throws -> Int {
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        return (attributes[.posixPermissions] as? NSNumber)?.intValue ?? 0
    }

    private static func files(_ storage: String) throws -> [String] {
        try FileManager.default.subpathsOfDirectory(atPath: storage).sorted()
    }

    @Test(
        "a wanted name gets its certificate by each way, and it lies in a private file",
        arguments: [ChallengeKind.http01, .tlsALPN01]
    )
    func issues(kind: ChallengeKind) async throws {
        try await Self.run { server, looker, storage in
            let rig = try Self.start(server, looker, storage, challenges: [kind])
            #expect(rig.certificates.want("App.example.com") == nil)
            #expect(try await rig.changes.next("the certificate") == "app.example.com")
            #expect(looker.seen.all == ["\(kind.rawValue) app.example.com"])
            let identity = try #require(rig.certificates.identity(for: "APP.example.com"))
            #expect(identity.chain.count == 2)
            var tls = TLSConfiguration.makeServerConfiguration(
                certificateChain: identity.chain,
                privateKey: identity.key
            )
            tls.trustRoots = .certificates([])
            _ = try NIOSSLContext(configuration: tls)
            #expect(rig.certificates.identity(for: "other.example.com") == nil)
            let files = try Self.files(storage)
            #expect(files.count == 4)
            for file in files {
                #expect(try Self.mode("\(storage)/\(file)") == (file.contains("/") ? 0o600 : 0o700), "\(file)")
            }
            try await eventually("the answer is withdrawn") { rig.status("app.example.com")?.state == .valid }
            #expect(rig.certificates.alpnCertificate(for: "app.example.com") == nil)
            let line = try await rig.log.next("a line")
            #expect(line == "notice certificate issued days=90 name=app.example.com renewal=no", "\(line)")
            await rig.stop()
        }
    }

    @Test("a restart loads certificates and the account, and asks for neither again")
    func restart() async throws {
        try await Self.run { server, looker, storage in
            let first = try Self.start(server, looker, storage)
            first.certificates.want("a.example")
            _ = try await first.changes.next("a certificate")
            try await eventually("the file is there") {
                try Self.files(storage).count { $0.hasSuffix("a.example.pem") } == 1
            }
            await first.stop()
            let second = try Self.start(server, looker, storage)
            second.certificates.want("a.example")
            #expect(second.changes.all == ["a.example"], "it is there at once")
            #expect(second.certificates.identity(for: "a.example") != nil)
            second.certificates.want("b.example")
            try await eventually("the second name has its certificate") {
                second.certificates.identity(for: "b.example") != nil
            }
            #expect(server.ca.count("/order/") + server.ca.seen.count { $0.path == "/order" } == 2)
            #expect(server.ca.count("/account") == 1)
            await second.stop()
        }
    }

    @Test("a file that is damaged is named, and replaced")
    func damagedFile() async throws {
        try await Self.run { server, looker, storage in
            let first = try Self.start(server, looker, storage)
            first.certificates.want("a.example")
            _ = try await first.changes.next("a certificate")
            try await eventually("the file is there") {
                try Self.files(storage).contains { $0.hasSuffix("a.example.pem") }
            }
            await first.stop()
            let file = storage + "/" + (try #require(try Self.files(storage).first { $0.hasSuffix("a.example.pem") }))
            try FileManager.default.copyItem(atPath: file, toPath: file.replacing("a.example", with: "b.example"))
            try Data("nothing".utf8).write(to: URL(fileURLWithPath: file))
            let second = try Self.start(server, looker, storage)
            let lines = second.log.all
            #expect(lines.contains { $0.contains(file) && $0.contains("it cannot be read") }, "\(lines)")
            #expect(lines.contains { $0.contains("b.example.pem holds no certificate: it is for another name") })
            second.certificates.want("a.example")
            #expect(second.certificates.identity(for: "a.example") == nil)
            _ = try await second.changes.next("a new certificate")
            try await eventually("the file is replaced") {
                String(decoding: FileManager.default.contents(atPath: file) ?? Data(), as: UTF8.self)
                    .hasPrefix("-----BEGIN PRIVATE KEY-----")
            }
            await second.stop()
        }
    }

    @Test("a certificate that is not in memory is read from its file before an order")
    func fileInPlaceOfOrder() async throws {
        try await Self.run { server, looker, storage in
            let first = try Self.start(server, looker, storage)
            first.certificates.want("a.example")
            _ = try await first.changes.next("a certificate")
            try await eventually("the file is there") {
                try Self.files(storage).contains { $0.hasSuffix("a.example.pem") }
            }
            await first.stop()
            let second = try Self.start(server, looker, storage + "-2")
            let requests = server.ca.count("/order")
            let file = try #require(try Self.files(storage).first { $0.hasSuffix("a.example.pem") })
            try FileManager.default.copyItem(atPath: "\(storage)/\(file)", toPath: "\(storage)-2/\(file)")
            second.certificates.want("a.example", owner: "al")
            #expect(try await second.changes.next("the certificate") == "a.example")
            #expect(second.certificates.identity(for: "a.example") != nil)
            #expect(second.status("a.example")?.owner == "al")
            #expect(server.ca.count("/order") == requests)
            await second.stop()
        }
    }

    @Test("a damaged account's key is replaced, with a new account")
    func damagedAccount() async throws {
        try await Self.run { server, looker, storage in
            let first = try Self.start(server, looker, storage)
            first.certificates.want("a.example")
            _ = try await first.changes.next("a certificate")
            await first.stop()
            let file = storage + "/" + (try #require(try Self.files(storage).first { $0.hasSuffix("_account.pem") }))
            try Data("nothing".utf8).write(to: URL(fileURLWithPath: file))
            let second = try Self.start(server, looker, storage)
            #expect(second.log.all.contains { $0.contains("\(file): it holds no key on P-256") })
            second.certificates.want("b.example")
            _ = try await second.changes.next("a certificate")
            #expect(server.ca.count("/account") == 2)
            await second.stop()
        }
    }

    @Test("the CA's word moves the renewal forward, and the new certificate names the old one")
    func renewalInformation() async throws {
        try await Self.run { server, looker, storage in
            let time = TestTime()
            let rig = try Self.start(server, looker, storage, time: time)
            server.ca.change { $0.window = ("2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z") }
            rig.certificates.want("a.example")
            _ = try await rig.changes.next("a certificate")
            try await eventually("the CA is asked") { server.ca.count("/ari/") > 0 }
            let before = try #require(rig.status("a.example")?.notAfter)
            server.ca.change {
                $0.window = nil; $0.lifetime += 1_000
            }
            time.advance(by: ACMELimits.leastRenewal)
            _ = try await rig.changes.next("the renewal")
            #expect(try #require(rig.status("a.example")?.notAfter) > before)
            let orders = server.ca.seen.filter { $0.path == "/order" }
            #expect(orders.map { $0.payload.contains("replaces") } == [false, true])
            await rig.stop()
        }
    }

    @Test("a CA without renewal information has certificates renewed at two thirds of their life")
    func renewalWithoutInformation() async throws {
        try await Self.run { server, looker, storage in
            server.ca.change { $0.hasRenewalInfo = false }
            let time = TestTime()
            let rig = try Self.start(server, looker, storage, time: time)
            rig.certificates.want("a.example")
            _ = try await rig.changes.next("a certificate")
            try await eventually("it is valid") { rig.status("a.example")?.state == .valid }
            let next = try #require(rig.status("a.example")?.nextAttempt)
            let days = (next - time.now) / 86_400
            #expect((58...60).contains(days), "\(days)")
            while time.now < next { time.advance(by: ACMELimits.leastRenewalCheck) }
            _ = try await rig.changes.next("the renewal")
            await rig.stop()
        }
    }

    @Test("a name that cannot be validated fails with the reason, the next way is tried, and others go on")
    func failingName() async throws {
        try await Self.run { server, looker, storage in
            let time = TestTime()
            let rig = try Self.start(server, looker, storage, time: time)
            looker.certificates.withLock { $0 = nil }
            rig.certificates.want("bad.example")
            let line = try await rig.log.next("the failure")
            #expect(line.hasPrefix("warning no certificate name=bad.example next_attempt="), "\(line)")
            #expect(line.contains("could not validate bad.example by tls-alpn-01: unauthorized"), "\(line)")
            looker.certificates.withLock { $0 = rig.certificates }
            rig.certificates.want("good.example")
            #expect(try await rig.changes.next("a certificate") == "good.example")
            #expect(rig.status("bad.example")?.state == .failing)
            time.advance(by: 400)
            #expect(try await rig.changes.next("a certificate") == "bad.example")
            #expect(looker.seen.all == ["tls-alpn-01 bad.example", "tls-alpn-01 good.example", "http-01 bad.example"])
            await rig.stop()
        }
    }

    @Test("nothing is ordered before there is a way to prove names, nor for a name that is not wanted any more")
    func idle() async throws {
        try await Self.run { server, looker, storage in
            let rig = try Self.start(server, looker, storage, challenges: [])
            rig.certificates.want("a.example")
            rig.certificates.want("b.example")
            rig.certificates.unwant("a.example")
            _ = try await rig.time.waits.next("the service has nothing to do")
            #expect(server.ca.seen.isEmpty)
            rig.certificates.offer([.http01])
            #expect(try await rig.changes.next("a certificate") == "b.example")
            #expect(server.ca.count("/order") > 0)
            rig.certificates.unwant("b.example")
            #expect(try await rig.changes.next("the end of it") == "b.example")
            #expect(rig.certificates.identity(for: "b.example") == nil)
            let requests = server.ca.seen.count
            rig.certificates.want("b.example")
            #expect(rig.certificates.identity(for: "b.example") != nil, "a client that comes back has it at once")
            #expect(server.ca.seen.count == requests)
            #expect(rig.certificates.want("*.example") != nil)
            #expect(rig.certificates.want("127.0.0.1") != nil)
            await rig.stop()
        }
    }

    @Test(
        "a CA that is away is tried again after a minute, and answers of any length are bounded",
        arguments: [
            FakeAuthority.Fault(status: 0),
            .init(status: 200, body: String(repeating: " ", count: ACMELimits.answer + 1)),
            .init(status: 404, body: "<html>"), .init(status: 429, fields: [("Retry-After", "30")]),
        ]
    )
    func troubles(fault: FakeAuthority.Fault) async throws {
        try await Self.run { server, looker, storage in
            server.ca.change { $0.faults = ["dir": Array(repeating: fault, count: ACMELimits.attempts + 1)] }
            let time = TestTime()
            let rig = try Self.start(server, looker, storage, time: time)
            rig.certificates.want("a.example")
            let line = try await rig.log.next("the failure")
            #expect(line.hasPrefix("warning no certificate"), "\(line)")
            #expect(line.contains("the CA 127.0.0.1") && line.contains("; "), "\(line)")
            #expect(InternalNames.first(in: line) == nil, "\(line)")
            if fault.body?.count ?? 0 > 100 { #expect(line.contains("its answer has more than 65536 bytes")) }
            server.ca.change { $0.faults = [:] }
            time.advance(by: 7_200)
            #expect(try await rig.changes.next("a certificate") == "a.example")
            await rig.stop()
        }
    }

    @Test("a directory at the limit of its length is read")
    func longAnswer() async throws {
        try await Self.run { server, looker, storage in
            let base = server.directory.replacing("/dir", with: "")
            let text = #"{"newNonce":"\#(base)/nonce","newAccount":"\#(base)/account","newOrder":"\#(base)/order"}"#
            let long = text + String(repeating: " ", count: ACMELimits.answer - text.utf8.count)
            server.ca.change { $0.faults = ["dir": [.init(status: 200, body: long)]] }
            let rig = try Self.start(server, looker, storage)
            rig.certificates.want("a.example")
            #expect(try await rig.changes.next("a certificate") == "a.example")
            await rig.stop()
        }
    }

    @Test("a chain at the limit of its length is read, and a longer one is refused")
    func longChain() async throws {
        try await Self.run { server, looker, storage in
            server.ca.change { $0.chainLength = ACMELimits.chain }
            let rig = try Self.start(server, looker, storage)
            rig.certificates.want("a.example")
            #expect(try await rig.changes.next("a certificate") == "a.example")
            _ = try await rig.log.next("its line")
            server.ca.change { $0.chainLength = ACMELimits.chain + 1 }
            rig.certificates.want("b.example")
            let line = try await rig.log.next("the failure")
            #expect(line.contains("its answer has more than 1048576 bytes"), "\(line)")
            await rig.stop()
        }
    }

    @Test("files are read up to their limits of length and number")
    func fileLimits() async throws {
        try await Scenario.run { scenario in
            let storage = try CertificateStorage(scenario.directory, for: ACMEURL("https://ca.example/dir"))
            let certificate = try TestCertificate.make("a.example", notBefore: 1, notAfter: 2_000_000_000)
            for (length, isRead) in [
                (CertificateStorage.longestFile, true), (CertificateStorage.longestFile + 1, false),
            ] {
                let padding = String(repeating: "\n", count: length - certificate.pem.utf8.count)
                try scenario.write(certificate.pem + padding, to: storage.path(of: certificate.name))
                #expect((storage.certificate(of: certificate.name) != nil) == isRead)
            }
            for number in 1...CertificateStorage.mostFiles {
                try scenario.write("x", to: "\(storage.folder)/a\(number).example.pem")
            }
            let (found, problems) = storage.certificates(now: 1_900_000_000)
            #expect(found.count + problems.count == CertificateStorage.mostFiles)
        }
    }

    @Test(
        "a configuration that cannot work is refused with the reason",
        arguments: [
            ("http://ca.example/dir", nil, "directory of [acme]: http://ca.example/dir is not an https URL"),
            ("dir", nil, "directory of [acme]"), ("https://ca.example/d", "a@b@c", "email of [acme]"),
            ("https://ca.example/d", "a@b,c@d", "email of [acme]"),
            ("https://ca.example/d", "a@b?cc=c", "email of [acme]"),
            ("https://ca.example/d", "", "email of [acme]"),
        ] as [(String, String?, String)]
    )
    func configuration(directory: String, email: String?, reason: String) async throws {
        try await Scenario.run { scenario in
            let configuration = ACMEConfiguration(
                directory: directory,
                email: email,
                storage: "\(scenario.directory)/acme"
            )
            let error = #expect(throws: ServerError.self) {
                _ = try ACMECertificates(configuration, logger: Logger(label: "acme"))
            }
            #expect(error?.description.contains(reason) == true, "\(error?.description ?? "")")
        }
    }

    @Test("a folder that cannot be used is refused with its path, and one that others can read is closed to them")
    func folder() async throws {
        try await Scenario.run { scenario in
            let file = "\(scenario.directory)/file"
            try scenario.write("x", to: file)
            for path in [file, "\(file)/below", "\(scenario.directory)/missing/acme"] {
                let error = #expect(throws: ServerError.self) {
                    _ = try CertificateStorage(path, for: ACMEURL("https://ca.example/dir"))
                }
                #expect(error?.description.contains("the folder \(path) cannot be made") == true)
            }
            let open = try scenario.folder("open")
            let storage = try CertificateStorage(open, for: ACMEURL("https://ca.example/dir"))
            #expect(try Self.mode(open) == 0o700)
            #expect(try Self.mode(storage.folder) == 0o700)
            let other = try CertificateStorage(open, for: ACMEURL("https://ca.example/staging"))
            #expect(other.folder != storage.folder, "each directory has its own folder")
        }
    }

    @Test("no name leaves the folder or takes the account's file, and long ones are shortened without meeting")
    func paths() async throws {
        try await Scenario.run { scenario in
            let storage = try CertificateStorage(scenario.directory, for: ACMEURL("https://ca.example/dir"))
            let label = String(repeating: "a", count: 60)
            let long = [label, label, label, "b.example"].joined(separator: ".")
            let names = ["account", "a.example", long, "c" + long.dropFirst(), long.dropLast() + "f"]
            let paths = names.compactMap { CertificateName($0) }.map(storage.path)
            #expect(Set(paths).count == names.count)
            for path in paths {
                #expect(path.hasPrefix(storage.folder + "/"))
                let file = path.dropFirst(storage.folder.count + 1)
                #expect(!file.contains("/") && !file.hasPrefix(".") && !file.hasPrefix("_"))
                #expect(file.utf8.count + ".new".utf8.count <= 255)
            }
        }
    }

    @Test("a file of a certificate that ended long before is removed, and one that has just ended is not")
    func oldFiles() async throws {
        try await Scenario.run { scenario in
            let storage = try CertificateStorage(scenario.directory, for: ACMEURL("https://ca.example/dir"))
            let now: Int64 = 1_900_000_000
            let kept = CertificateStorage.keptAfterEnd
            for (name, end) in [("old.example", now - kept - 1), ("new.example", now - kept)] {
                let certificate = try TestCertificate.make(name, notBefore: end - 1_000, notAfter: end)
                #expect(storage.keep(certificate) == nil)
            }
            #expect(storage.certificates(now: now).found.map(\.name.text) == ["new.example"])
            #expect(FileManager.default.fileExists(atPath: storage.folder + "/new.example.pem"))
            #expect(!FileManager.default.fileExists(atPath: storage.folder + "/old.example.pem"))
        }
    }

    @Test("answers to challenges are bounded, and the newest stay")
    func answers() throws {
        var table = CertificateTable()
        for number in 0...CertificateTable.mostAnswers {
            let name = CertificateName.of("a\(number).example")
            let answer = try #require(
                ChallengeAnswer(.http01, name, token: "t\(number)", key: AccountKey())
            )
            table.present(CertificateTable.Answer(answer: answer, certificate: nil))
        }
        #expect(table.keyAuthorization(for: "t0") == nil)
        for number in 1...CertificateTable.mostAnswers { #expect(table.keyAuthorization(for: "t\(number)") != nil) }
        table.withdraw(CertificateName.of("a3.example"))
        #expect(table.keyAuthorization(for: "t3") == nil)
    }
}
