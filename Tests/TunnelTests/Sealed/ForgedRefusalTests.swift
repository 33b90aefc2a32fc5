import TestSupport
import Testing

@testable import Mux
@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer

extension SealedTests {
    /// Refusals in clear that the path makes, while a sealed session waits for a carrier.
    @Suite(.serialized)
    struct ForgedRefusalTests {
        /// Where the path puts a refusal.
        enum Place: CaseIterable {
            case beforeChallenge, inPlaceOfChallenge, afterRequest, beforeAnswer, inPlaceOfAnswer

            func attack(_ refusal: [UInt8]) -> PathAttack {
                switch self {
                case .beforeChallenge: .init(direction: .toClient, position: 0, act: .insertPlain(refusal))
                case .inPlaceOfChallenge: .init(direction: .toClient, position: 0, act: .replace(refusal))
                case .afterRequest: .init(direction: .toServer, position: 0, act: .answer(refusal))
                case .beforeAnswer: .init(direction: .toClient, position: 1, act: .insertPlain(refusal))
                case .inPlaceOfAnswer: .init(direction: .toClient, position: 1, act: .replace(refusal))
                }
            }
        }

        @Test(
            "A forged refusal of any code, with any pause, ends neither the session nor its streams",
            arguments: Place.allCases
        )
        func anyCode(place: Place) async throws {
            // All codes of the page, and one that it does not have.
            let attacks = try (UInt32(1)...14).map { code in
                let refusal = Refusal(RefusalCode(rawValue: code), "forged", retryAfter: code % 2 == 0 ? 3_600 : nil)
                return place.attack(try WirePeer.bytes(of: refusal.frame(.refused)))
            }
            try await SealedTunnel.with { tunnel in
                let visitor = try PatternVisitor(port: tunnel.publicPort)
                try await eventually("bytes come back") { visitor.bytes > 10_000 }
                tunnel.relay.perform(attacks)
                tunnel.relay.cutAll()
                try await tunnel.waitForAttacks(attacks.count)
                let before = visitor.bytes
                try await eventually("bytes come back", found: { "\(visitor.outcomes.all)" }) {
                    visitor.bytes > before + 10_000
                }
                let outcome = try await visitor.finish()
                guard case .exact = outcome else { throw ScenarioFailure(description: "the stream is \(outcome)") }
                #expect(tunnel.client.log.count("notice session opened") == 1)
                #expect(tunnel.server.log.count("notice session opened") == 1)
                #expect(tunnel.client.ends.all.isEmpty, "\(tunnel.client.ends.all)")
            }
        }
    }
}
