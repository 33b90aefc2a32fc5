import Mux
import TestSupport

@testable import TunnelAdmin
@testable import TunnelClient
@testable import TunnelCore

/// A client in this process.
struct RunningClient: Sendable {
    let log: CollectedLog
    /// The error or result with which it ended.
    let ends = Mailbox<String>()
    /// The URLs of its tunnels.
    let tunnels = Mailbox<String>()

    /// Runs a client of the server on `port` during `body`.
    ///
    /// - Parameter isImpatient: whether to cut short each wait before a dial.
    static func with(
        _ identity: Identity,
        _ port: UInt16,
        _ forward: String,
        limits: MuxLimits = MuxLimits(),
        wall: AdjustableWallClock? = nil,
        names: HostNames? = nil,
        isImpatient: Bool = false,
        configure: (inout ClientConfiguration) throws -> Void = { _ in },
        _ body: @Sendable (RunningClient) async throws -> Void
    ) async throws {
        var configuration = ClientConfiguration(
            endpoints: [try EndpointURL("ws://127.0.0.1:\(port)")],
            tunnels: [try TunnelSpec(forward)],
            token: identity.token,
            instance: [UInt8](repeating: 200, count: 32)
        )
        configuration.limits = limits
        configuration.drainTimeout = .seconds(1)
        try configure(&configuration)
        let (renewals, renew) = AsyncStream.makeStream(of: Void.self)
        let log = CollectedLog { line in
            // The lines of waits: after a lost carrier, after a session, after a dial.
            let isWait = ["dialling another one for", "dialling again", "again_in="].contains { line.contains($0) }
            if isImpatient, isWait { renew.yield() }
        }
        let running = RunningClient(log: log)
        var client = Client(configuration, renewals: renewals, logger: running.log.logger) { event in
            if case .tunnel(let url, _) = event { running.tunnels.put(url) }
        }
        if let names { client.names = names }
        if let wall { client.wallClock = { wall.seconds } }
        try await withThrowingTaskGroup(of: Void.self) { [client] tasks in
            tasks.addTask {
                do {
                    try await client.run()
                    running.ends.put("cancelled")
                } catch ClientError.refused(let why) {
                    running.ends.put("refused: \(why)")
                } catch ClientError.notOurs(let why) {
                    running.ends.put("not ours: \(why)")
                } catch {
                    running.ends.put("\(error)")
                }
            }
            defer { tasks.cancelAll() }
            do {
                try await body(running)
            } catch {
                throw ScenarioFailure(description: "\(error)\nthe client's log:\n\(running.log.text)")
            }
        }
    }
}
