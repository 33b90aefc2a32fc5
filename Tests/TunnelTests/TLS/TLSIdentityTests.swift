import NIOSSL
import Synchronization
import TestSupport
import Testing

@testable import TunnelCore

/// Warnings about the program's own certificate.
@Suite("The program's own certificate")
struct TLSIdentityTests {
    @Test("causes a warning from 14 days before its expiry, after it, and before its validity")
    func times() async throws {
        try await Scenario.run { scenario in
            let authority = try await IssuedCertificate.make(.authority("CA", days: 40), in: scenario, named: "ca")
            let made = try await IssuedCertificate.make(
                .leaf("DNS:localhost", days: 60),
                by: authority,
                in: scenario,
                named: "leaf"
            )
            let chain = try [made, authority].flatMap { try NIOSSLCertificate.fromPEMFile($0.certificate) }
            var tls = TLSConfiguration.tunnelClient()
            tls.certificateChain = chain.map { .certificate($0) }
            let start = Int64(chain[0].notValidBefore)
            let end = Int64(chain[0].notValidAfter)
            let day: Int64 = 86_400
            func warnings(_ now: Int64) -> [String] { TLSIdentity.warnings(about: tls, now: now) }
            #expect(warnings(start + 10 * day).isEmpty)
            let soon = warnings(start + 30 * day + 3_600)
            #expect(
                soon.count == 1 && soon[0].contains("of \"CA\", sent with it, expires on")
                    && soon[0].contains("in 9 days"),
                "\(soon)"
            )
            tls.certificateChain.removeLast()
            #expect(warnings(end - 14 * day - 1).isEmpty)
            #expect(warnings(end - 14 * day).first?.contains("in 14 days: renew it") == true)
            #expect(warnings(end - day).first?.hasSuffix("in 1 day: renew it") == true)
            #expect(warnings(end + 1).first?.contains("the certificate has expired on ") == true)
            #expect(warnings(start - 60).first?.contains("is not valid before ") == true)
            #expect(
                TLSIdentity.warnings(about: .tunnelClient(), now: end).isEmpty,
                "a client without a certificate has no warning"
            )
        }
    }

    @Test("is checked repeatedly while the program runs", .timeLimit(.minutes(1)))
    func daily() async {
        let (checks, check) = AsyncStream.makeStream(of: Void.self)
        let task = Task { await TLSIdentity.daily(.milliseconds(1)) { check.yield() } }
        var count = 0
        for await _ in checks {
            count += 1
            if count == 3 { break }
        }
        task.cancel()
        await task.value
        #expect(count == 3)
    }
}
