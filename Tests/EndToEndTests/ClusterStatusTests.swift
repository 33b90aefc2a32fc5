import Foundation
import TestSupport
import Testing
import Tunnel
import TunnelServer

/// What the operator of a cluster sees: status, metrics and readiness of each server.
@Suite("The operator of a cluster")
struct ClusterStatusTests {
    private func get(_ target: String, at place: ClusterScenario.Place) throws -> (status: Int, body: String) {
        let answer = try TCPSocket(unixPath: place.admin).request("GET", target)
        return (answer.status, answer.body)
    }

    private func status(_ place: ClusterScenario.Place) throws -> ClusterStatus {
        let data = Data(try get("/status", at: place).body.utf8)
        return try #require(StatusJSON.decode(ServerStatus.self, from: data).cluster)
    }

    private func clients(_ place: ClusterScenario.Place) throws -> ClusterClients {
        try StatusJSON.decode(ClusterClients.self, from: Data(try get("/cluster", at: place).body.utf8))
    }

    private func metric(_ name: String, at place: ClusterScenario.Place) throws -> String? {
        let line = try get("/metrics", at: place).body.split(separator: "\n").first { $0.hasPrefix("\(name) ") }
        return line.map { String($0.dropFirst(name.count + 1)) }
    }

    @Test("Each server shows all servers and their claims, and the clients of all of them")
    func all() async throws {
        try await Scenario.run { scenario in
            let cluster = try await ClusterScenario.start(members: 1, in: scenario)
            var servers: [ChildProcess] = []
            for number in cluster.places.indices { servers.append(try await cluster.start(number)) }
            let service = try TCPService.echo()
            defer { service.stop() }
            let client = try cluster.client(to: service.port, options: ["--name", "shed"])
            _ = try await client.tunnel(to: service.port)
            for place in cluster.places { try await cluster.expectEcho(at: place) }
            let home = try await cluster.home(among: servers)
            for (number, place) in cluster.places.enumerated() {
                try await eventually("\(place.name) knows all servers") { try status(place).servers.count == 3 }
                let seen = try status(place)
                #expect(seen.isStoreReachable && seen.storeSilentSince == nil, "\(seen)")
                #expect(seen.leases == 1 && seen.waitingClaims == 0 && seen.unservedPorts == 0, "\(seen)")
                #expect((seen.claims, seen.portsOfOthers) == (number == home ? (1, 0) : (0, 1)), "\(seen)")
                #expect(seen.servers.contains { $0.id == seen.server && $0.peerUrl == seen.peerUrl }, "\(seen)")
                // A visitor has come to each server, and the link to the home is open since.
                #expect(seen.servers.count { $0.isLinked } == (number == home ? 0 : 1), "\(seen)")
                #expect(try metric("culvert_cluster_store_up", at: place) == "1")
                #expect(try metric("culvert_cluster_servers", at: place) == "3")
                #expect(try metric("culvert_cluster_claims", at: place) == (number == home ? "1" : "0"))
                let relayed = try metric("culvert_cluster_relayed_visitors_total", at: place).flatMap { Int($0) } ?? 0
                #expect(relayed > 0 || number == home)
                let answer = try clients(place)
                #expect(answer.servers.map(\.server) == seen.servers.map(\.id), "\(answer)")
                #expect(answer.servers.allSatisfy { $0.problem == nil }, "\(answer)")
                let sessions = answer.servers.flatMap { server in server.sessions.map { (server.server, $0) } }
                #expect(sessions.map(\.1.name) == ["default/shed"], "\(answer)")
                #expect(sessions.first?.1.places == ["\(cluster.port)"], "\(answer)")
                #expect(sessions.first?.0 == (try status(cluster.places[home]).server), "\(answer)")
            }
            let names = try get("/metrics", at: cluster.places[0]).body
                .matches(of: /#\ TYPE\ (culvert_cluster_[a-z_]+)\ /).map { String($0.output.1) }
            #expect(names.sorted() == MetricHelp.texts.keys.filter { $0.hasPrefix("culvert_cluster_") }.sorted())
            for options in [[], ["--cluster"]] {
                let arguments = ["status", "--admin", "unix:\(cluster.places[(home + 1) % 3].admin)"] + options
                let page = try scenario.culvert("status", arguments)
                #expect(try await page.exitStatus() == .exited(0))
                let text = page.output.text
                if options.isEmpty {
                    #expect(text.contains("\ncluster: server ") && text.contains(", etcd answers\n"), "\(text)")
                    #expect(text.contains(" (this one) "), "\(text)")
                } else {
                    #expect(text.hasPrefix("3 servers, 1 session\n"), "\(text)")
                    #expect(text.contains("default/shed"), "\(text)")
                }
            }
        }
    }

    @Test("A server that has crashed is named in the answer, with the clients of the others")
    func crashed() async throws {
        try await Scenario.run { scenario in
            let cluster = try await ClusterScenario.start(members: 1, in: scenario)
            var servers: [ChildProcess] = []
            for number in cluster.places.indices { servers.append(try await cluster.start(number)) }
            for place in cluster.places {
                try await eventually("\(place.name) knows all servers") { try status(place).servers.count == 3 }
            }
            let gone = try status(cluster.places[2]).server
            await servers[2].kill()
            let answer = try clients(cluster.places[0])
            let entry = try #require(answer.servers.first { $0.server == gone })
            #expect(entry.problem != nil, "\(answer)")
            #expect(answer.servers.count { $0.problem == nil } == 2, "\(answer)")
        }
    }

    @Test("While etcd is gone, a server is ready, and its status and metrics say since when")
    func outage() async throws {
        try await Scenario.run { scenario in
            let cluster = try await ClusterScenario.start(1, members: 1, in: scenario)
            let server = try await cluster.start(0)
            let place = cluster.places[0]
            try await eventually("etcd answers") { try status(place).isStoreReachable }
            try await cluster.etcd.kill(0)
            try await eventually("the outage is known") { try metric("culvert_cluster_store_up", at: place) == "0" }
            #expect(try get("/readyz", at: place).status == 200)
            let seen = try status(place)
            #expect(!seen.isStoreReachable && seen.storeSilentSince != nil && seen.lastStoreFailure != nil, "\(seen)")
            #expect(try metric("culvert_cluster_store_failures_total", at: place) != "0")
            try await cluster.etcd.restart(0)
            try await eventually("the outage is over") { try metric("culvert_cluster_store_up", at: place) == "1" }
            #expect(try status(place).storeSilentSince == nil)
            _ = server
        }
    }

    @Test("A server alone has no cluster in its status and no metrics of one")
    func alone() async throws {
        try await Scenario.run { scenario in
            _ = try await scenario.server()
            let socket = "\(scenario.directory)/culvert/server.sock"
            let status = try TCPSocket(unixPath: socket).request("GET", "/status").body
            #expect(try StatusJSON.decode(ServerStatus.self, from: Data(status.utf8)).cluster == nil)
            #expect(try !TCPSocket(unixPath: socket).request("GET", "/metrics").body.contains("culvert_cluster_"))
            #expect(try TCPSocket(unixPath: socket).request("GET", "/cluster").status == 404)
        }
    }
}
