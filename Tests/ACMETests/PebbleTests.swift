import ACME
import Foundation
import Logging
import NIOSSL
import TestSupport
import Testing

@testable import TunnelServer

/// The service with a real CA, over TLS, with real validations.
@Suite(
    "A real CA, pebble",
    .serialized,
    .timeLimit(.minutes(2)),
    .enabled(
        if: Program.pebble.path != nil || TestRun.isCI,
        "not installed: pebble (apt-get install pebble)"
    )
)
struct PebbleTests {
    private static func run(
        _ body: (_ pebble: Pebble, _ responder: ChallengeResponder, _ storage: String) async throws -> Void
    ) async throws {
        try await Scenario.run { scenario in
            let responder = try await ChallengeResponder()
            let pebble = try await Pebble.start(http: responder.http, tls: responder.https, in: scenario)
            try await body(pebble, responder, "\(scenario.directory)/acme")
            try await responder.stop()
        }
    }

    private static func start(
        _ pebble: Pebble,
        _ responder: ChallengeResponder,
        _ storage: String,
        _ challenges: Set<ChallengeKind>,
        isTrusted: Bool = true,
        time: ACMECertificates.Time = ACMECertificates.Time()
    ) throws -> (ACMECertificates, Task<Void, Never>, changes: Mailbox<String>, log: Mailbox<String>) {
        let (changes, log) = (Mailbox<String>(), Mailbox<String>())
        let certificates = try ACMECertificates(
            ACMEConfiguration(
                directory: pebble.directory,
                email: "ops@example.com",
                authorities: isTrusted ? NIOSSLCertificate.fromPEMFile(pebble.authority) : [],
                storage: storage
            ),
            logger: Logger(label: "acme") { _ in LogMemory(lines: log) },
            time: time,
            onChange: { changes.put($0) }
        )
        certificates.offer(challenges)
        responder.serve(certificates)
        return (certificates, Task { await certificates.run() }, changes, log)
    }

    @Test("it issues certificates by both ways, and after a restart nothing is asked again")
    func issues() async throws {
        try await Self.run { pebble, responder, storage in
            for (name, kind) in [("a.example.test", ChallengeKind.http01), ("b.example.test", .tlsALPN01)] {
                let (certificates, task, changes, log) = try Self.start(pebble, responder, storage, [kind])
                certificates.want(name)
                try await eventually("a certificate by \(kind.rawValue)", found: { "\(log.all) \(pebble.process)" }) {
                    changes.all == [name]
                }
                let identity = try #require(certificates.identity(for: name))
                #expect(identity.notAfter > Int64(Date().timeIntervalSince1970))
                guard case .certificate(let own)? = identity.chain.first else { throw CancellationError() }
                #expect(own._subjectAlternativeNames().map { String(decoding: $0.contents, as: UTF8.self) } == [name])
                task.cancel()
                await task.value
            }
            let (certificates, task, changes, _) = try Self.start(pebble, responder, storage, [.http01])
            certificates.want("a.example.test")
            certificates.want("b.example.test")
            #expect(changes.all == ["a.example.test", "b.example.test"])
            task.cancel()
            await task.value
        }
    }

    @Test(
        "a name that does not lead to this server fails with pebble's reason, and pebble without its CA is not trusted"
    )
    func failures() async throws {
        try await Self.run { pebble, responder, storage in
            let (certificates, task, _, log) = try Self.start(pebble, responder, storage, [.http01])
            responder.serve(try ACMECertificates(ACMEConfiguration(storage: storage), logger: Logger(label: "other")))
            certificates.want("c.example.test")
            let line = try await log.next("the failure")
            #expect(
                line.contains("the CA localhost could not validate c.example.test by http-01: unauthorized"),
                "\(line)"
            )
            task.cancel()
            await task.value
            let (stranger, strangers, _, words) = try Self.start(
                pebble,
                responder,
                "\(storage)-stranger",
                [.http01],
                isTrusted: false,
                time: TestTime().time
            )
            stranger.want("c.example.test")
            let refusal = try await words.next("the refusal", within: .seconds(60))
            #expect(refusal.contains("was not reached: the certificate of localhost"), "\(refusal)")
            #expect(refusal.contains("give the file of a private CA's root as ca of [acme]"), "\(refusal)")
            strangers.cancel()
            await strangers.value
        }
    }
}
