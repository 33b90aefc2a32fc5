import Cluster
import EtcdStore
import NIOCore
import TestSupport
import Testing

/// The choice among several endpoints.
@Suite("Several endpoints", .timeLimit(.minutes(2)))
struct FailoverTests {
    private static func good() throws -> ScriptedGateway {
        try ScriptedGateway { exchange in
            try exchange.answer(#"{"header":{"revision":"5"}}"#)
            return true
        }
    }

    @Test("one that refuses connections, is silent, has no leader, or makes no sense gives way to the next one")
    func gives() async throws {
        let good = try Self.good()
        let silent = try ScriptedGateway { exchange in
            try exchange.waitForEnd()
            return false
        }
        let leaderless = try ScriptedGateway { exchange in
            try exchange.answer(#"{"message":"etcdserver: no leader","code":14}"#, status: "503 Service Unavailable")
            return true
        }
        let other = try ScriptedGateway { exchange in
            try exchange.socket.send("SSH-2.0-OpenSSH_9.2\r\n")
            return false
        }
        let closed = "http://127.0.0.1:\(try FreePorts.next())"
        for bad in [closed, leaderless.url, other.url] {
            let store = try EtcdClaimStore(.testing([bad, good.url]), logger: .silent)
            #expect(try await store.read(.ports).revision == Revision(5))
            await store.close()
        }
        let store = try EtcdClaimStore(
            .testing(
                [closed, leaderless.url, other.url, silent.url, good.url, good.url, good.url],
                timeout: .seconds(8)
            ),
            logger: .silent
        )
        for _ in 0..<3 { #expect(try await store.read(.ports).revision == Revision(5)) }
        // Only the first request has gone through all of them.
        #expect(leaderless.paths.all.count == 2)
        await store.close()
    }

    @Test("a connection carries one request after the other")
    func reuse() async throws {
        let good = try Self.good()
        let store = try EtcdClaimStore(.testing([good.url]), logger: .silent)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<20 { group.addTask { _ = try await store.read(.ports) } }
            try await group.waitForAll()
        }
        #expect(good.accepted == 1)
        await store.close()
    }

    @Test("leases do not wait for reads of names, which have a connection of their own")
    func leasesFirst() async throws {
        let gate = Gate()
        defer { gate.open() }
        let gateway = try ScriptedGateway { exchange in
            switch exchange.path {
            case "/v3/lease/keepalive": try exchange.answer(#"{"result":{"ID":"7","TTL":"10"}}"#)
            case "/v3/lease/grant": try exchange.answer(#"{"ID":"7","TTL":"10"}"#)
            default:
                gate.wait()
                try exchange.answer(#"{"header":{"revision":"5"}}"#)
            }
            return true
        }
        // Long enough for a machine that runs all tests at once: what counts is the order.
        let store = try EtcdClaimStore(.testing([gateway.url], timeout: .seconds(240)), logger: .silent)
        let reads = (0..<20).map { number in Task { try await store.read(.place(.name("\(number).example"))) } }
        #expect(try await gateway.paths.next("a read") == "/v3/kv/range")
        #expect(try await store.grantLease(seconds: 10) == LeaseID(7))
        #expect(try await store.keepAlive(LeaseID(7)))
        gate.open()
        for read in reads { #expect(try await read.value.revision == Revision(5)) }
        #expect(gateway.accepted == 2)
        await store.close()
    }

    @Test("a connection that the endpoint has closed meanwhile is no failure of the endpoint")
    func staleConnection() async throws {
        let gateway = try ScriptedGateway { exchange in
            try exchange.answer(#"{"header":{"revision":"5"}}"#)
            return false
        }
        let store = try EtcdClaimStore(.testing([gateway.url]), logger: .silent)
        for _ in 0..<20 { #expect(try await store.read(.ports).revision == Revision(5)) }
        await store.close()
    }

    @Test("if no endpoint answers, requests fail within their time, with the last reason")
    func none() async throws {
        let silent = try ScriptedGateway { exchange in
            try exchange.waitForEnd()
            return false
        }
        let store = try EtcdClaimStore(
            .testing([silent.url, silent.url], timeout: .milliseconds(500)),
            logger: .silent
        )
        await #expect(throws: StoreFailure.unreachable("\(silent.url): no answer in time")) {
            try await store.read(.ports)
        }
        await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<20 {
                group.addTask {
                    do throws(StoreFailure) {
                        _ = try await store.read(.ports)
                        return false
                    } catch {
                        if case .unreachable = error { return true }
                        return false
                    }
                }
            }
            for await isUnreachable in group { #expect(isUnreachable) }
        }
        await store.close()
    }

    @Test("a closed store fails at once, and its watches end")
    func closed() async throws {
        let silent = try ScriptedGateway { exchange in
            try exchange.waitForEnd()
            return false
        }
        let store = try EtcdClaimStore(.testing([silent.url], timeout: .seconds(600)), logger: .silent)
        let watch = WatchLog(store, .ports, from: Revision(1))
        _ = try await silent.paths.next("the watch's request")
        let read = Task { try await store.read(.ports) }
        await store.close()
        guard case .unreachable? = try await watch.ends.next("the watch's end") else {
            throw ScenarioFailure(description: "the watch has another end")
        }
        await #expect(throws: StoreFailure.unreachable("the store is closed")) { try await read.value }
        await #expect(throws: StoreFailure.unreachable("the store is closed")) { try await store.read(.ports) }
        let late = WatchLog(store, .ports, from: Revision(1))
        #expect(try await late.ends.next("the late watch's end") == .unreachable("the store is closed"))
    }

    @Test(
        "a claim whose first answer was lost is granted by the second one",
        .enabled(if: Program.etcd.path != nil || TestRun.isCI)
    )
    func repeated() async throws {
        try await Scenario.run { scenario in
            let cluster = try await EtcdCluster.start(members: 1, in: scenario)
            // Passes requests on, and loses the answers of transactions.
            let lossy = try ScriptedGateway { exchange in
                let answer = try cluster.post(exchange.path, exchange.body)
                guard exchange.path != "/v3/kv/txn" else { return false }
                try exchange.answer(answer)
                return true
            }
            let store = try EtcdClaimStore(.testing([lossy.url] + cluster.urls), logger: .silent)
            let rig = StoreRig(store: store) {}
            let lease = try await store.grantLease(seconds: 60)
            let held = try await rig.granted(TestClient("a").claim(.tcp(80)), lease)
            #expect(try await rig.claims(of: .tcp(80)) == [held])
            #expect(try await rig.apply(.claim(held.claim, lease: lease, over: nil)) == .held([held]))
            await store.close()
        }
    }
}
