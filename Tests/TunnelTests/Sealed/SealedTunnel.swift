import Logging
import Mux
import Seal
import TestSupport
import Testing

@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer

/// A server that requires the seal, a path that reads and alters, and a client behind it with one tunnel.
///
/// The client's waits between dials are cut short, so that many attacks take little time.
struct SealedTunnel: Sendable {
    static let key = ServerKey()

    let relay: BumpingRelay
    let server: RunningServer
    /// The client's log, error and tunnels.
    let client: RunningClient
    let publicPort: UInt16
    /// The first wrong bytes at the service.
    let wrong: Mailbox<String>

    /// Runs both ends during `body`.
    ///
    /// - Parameters:
    ///   - attacks: what the path does from the first connection on.
    ///   - isWaited: whether to wait for the tunnel before `body`.
    ///   - service: the service of the tunnel; nil for one that sends a pattern back.
    static func with(
        attacks: [PathAttack] = [],
        isRecording: Bool = false,
        isWaited: Bool = true,
        service: TCPService? = nil,
        server configureServer: (inout ServerConfiguration) -> Void = { _ in },
        client configureClient: @Sendable (inout ClientConfiguration) throws -> Void = { _ in },
        _ body: @Sendable (SealedTunnel) async throws -> Void
    ) async throws {
        let wrong = Mailbox<String>()
        let service = try service ?? Pattern.echo(wrong: wrong)
        let port = try FreePorts.next()
        try await RunningServer.with { configuration in
            configuration.serverKey = key
            configuration.encryption = .required
            configuration.limits.grace = .seconds(60)
            configuration.serverLimits.freeProofs = 10_000
            configureServer(&configuration)
        } _: { server in
            let relay = try BumpingRelay(to: server.port, isRecording: isRecording)
            relay.perform(attacks)
            try await RunningClient.with(
                .alice,
                relay.port,
                "\(port):127.0.0.1:\(service.port)",
                isImpatient: true
            ) { configuration in
                configuration.encryption = .required
                configuration.carriers = .one
                try configureClient(&configuration)
            } _: { client in
                let tunnel = SealedTunnel(relay: relay, server: server, client: client, publicPort: port, wrong: wrong)
                if isWaited { _ = try await client.tunnels.next("the tunnel is public") }
                do {
                    try await body(tunnel)
                } catch {
                    throw ScenarioFailure(description: "\(error)\nlast attacks: \(relay.performed.suffix(3))")
                }
            }
        }
        #expect(wrong.all.isEmpty, "\(wrong.all)")
        withExtendedLifetime(service) {}
    }

    /// Requires that a new visitor works.
    func requireVisitor() async throws {
        let visitor = try await eventually("the public port takes a visitor") { try? PatternVisitor(port: publicPort) }
        try await eventually("bytes come back") { visitor.bytes > 5_000 || !visitor.outcomes.all.isEmpty }
        let outcome = try await visitor.finish()
        guard case .exact = outcome else { throw ScenarioFailure(description: "a new visitor: \(outcome)") }
    }

    /// Waits until all attacks were performed, and the client has a carrier again.
    func waitForAttacks(_ count: Int) async throws {
        // A client dials twice a second, and a busy machine is slower.
        let limit = Duration.seconds(60 + 2 * count)
        try await eventually("\(count) attacks were performed", within: limit, found: { "\(relay.performed.count)" }) {
            if let end = client.ends.all.first { throw ScenarioFailure(description: "the client has ended: \(end)") }
            return relay.performed.count >= count
        }
    }
}
