import Foundation
import TestSupport
import Testing

/// An ssh user of a cluster whose servers are switched off, one after another.
@Suite(
    "An ssh session to a cluster that loses a server",
    .serialized,
    .enabled(if: TestRun.isHeavy && HostNetwork.notReadyReason == nil, "nine servers fail, and namespaces need root")
)
struct ClusterSSHTests {
    private static let port: UInt16 = 16_022
    /// The time within which the command's output must be there.
    private static let limit = Duration.seconds(5)

    /// The way in which a server is switched off.
    enum Failure: String, Sendable { case killed, powerless }

    @Test(
        "Each server may be killed or lose its power: ssh two seconds later works within 5 s",
        .needs(.sshd, .ssh, .sshKeygen, .haproxy, .etcd)
    )
    func rounds() async throws {
        try await Scenario.run { scenario in
            let cluster = try await ClusterNetwork.start(in: scenario)
            var servers = try await cluster.startAll()
            try await cluster.startFront([Self.port])
            let sshd = try await Sshd.start(in: scenario, on: cluster.outside)
            let client = try cluster.client("client", port: Self.port, to: sshd.port, servers: 2)
            _ = try await client.tunnel(to: sshd.port)
            for round in 0..<9 {
                let begin = ContinuousClock.now
                try await cluster.expectWhole(of: "default/client")
                let settled = ContinuousClock.now - begin
                let number = round % 3
                let failure: Failure = round % 2 == 0 ? .killed : .powerless
                let place = cluster.places[number]
                // The leader of etcd dies in the middle round as well.
                let leader = round == 4 ? try await cluster.etcd.leader() : nil
                if let leader { try await cluster.etcd.kill(leader) }
                if failure == .powerless { try await cluster.network.cutOff(place.host) }
                if failure == .killed { await servers[number].kill() }
                // The claim is about an ssh that begins two seconds later.
                try await Task.sleep(for: .seconds(2))
                let opened = ContinuousClock.now
                let ssh = try sshd.run(
                    "echo round \(round)",
                    port: ClusterNetwork.visitors(Self.port),
                    in: scenario,
                    on: cluster.outside
                )
                let end = try await ssh.exitStatus(within: .seconds(60))
                let time = ContinuousClock.now - opened
                print(
                    "round \(round): server-\(number) \(failure)\(leader == nil ? "" : " with etcd's leader"): ssh \(end) after \(time), the cluster was whole after \(settled)"
                )
                #expect(end == .exited(0) && ssh.output.lines == ["round \(round)"], "round \(round): \(ssh)")
                #expect(time < Self.limit, "round \(round)")
                if failure == .powerless {
                    // What ran on a machine without power is gone when the machine is back.
                    await servers[number].kill()
                    try await cluster.network.heal()
                }
                if let leader { try await cluster.etcd.restart(leader) }
                servers[number] = try await cluster.start(number)
            }
        }
    }
}

extension ClusterNetwork {
    /// Waits until all servers answer, and a client that keeps two sessions has both.
    func expectWhole(of client: String) async throws {
        let deadline = ContinuousClock.now + .seconds(90)
        while true {
            let statuses = await statuses()
            let homes = statuses.values.count { $0.sessions.contains { $0.name == client && $0.hasCarrier } }
            // The record of a server that was killed stays until its lease ends.
            let known = statuses.values.allSatisfy { $0.cluster.map(\.servers.count) ?? 0 >= 3 && $0.isAccepting }
            if statuses.count == 3, homes == 2, known { break }
            guard ContinuousClock.now < deadline else {
                throw ScenarioFailure(
                    description:
                        "\(statuses.count) servers, which know \(statuses.values.map { $0.cluster?.servers.count ?? 0 }), and \(homes) sessions"
                )
            }
            try await Task.sleep(for: .milliseconds(100))
        }
    }
}
