import Cluster
import EtcdStore
import Foundation
import TestSupport
import Testing

/// Answers that no etcd sends. `Fixtures/etcd` has one in each file.
@Suite("Malformed answers of etcd", .timeLimit(.minutes(2)))
struct MalformedAnswerTests {
    static let files = Fixture.files(in: "etcd", withExtension: "http").map(\.lastPathComponent)

    private static let operations:
        [(name: String, run: @Sendable (EtcdClaimStore) async throws(StoreFailure) -> Void)] = [
            ("grant", { (store) throws(StoreFailure) in _ = try await store.grantLease(seconds: 10) }),
            ("keep alive", { (store) throws(StoreFailure) in _ = try await store.keepAlive(LeaseID(7)) }),
            (
                "apply",
                { (store) throws(StoreFailure) in
                    let claim = TestClient("a").claim(.tcp(80))
                    _ = try await store.apply([
                        .claim(claim, lease: LeaseID(7), over: nil), .release(claim.key, epoch: Revision(1)),
                    ])
                }
            ),
            ("read", { (store) throws(StoreFailure) in _ = try await store.read(.ports) }),
            (
                "watch",
                { (store) throws(StoreFailure) in
                    do {
                        for try await _ in store.watch(.ports, from: Revision(1)) {}
                    } catch {
                        throw error as? StoreFailure ?? .malformed("another error: \(error)")
                    }
                }
            ),
        ]

    @Test("each operation ends in a failure that names the endpoint", arguments: files)
    func operationsFail(file: String) async throws {
        let answer = Array(try Fixture.text("etcd/\(file)").replacing("\n", with: "\r\n").utf8)
        let store: EtcdClaimStore
        let gateway = try ScriptedGateway { exchange in
            try exchange.socket.send(answer)
            try exchange.socket.finishSending()
            return false
        }
        store = try EtcdClaimStore(.testing([gateway.url], timeout: .seconds(30)), logger: .silent)
        for (name, run) in Self.operations {
            do {
                try await run(store)
                Issue.record("\(name) takes \(file) for an answer")
            } catch {
                switch error {
                case .unreachable(let text), .malformed(let text), .refused(let text):
                    #expect(text.hasPrefix(gateway.url), "\(name): \(text)")
                    #expect(text.utf8.allSatisfy { $0 >= 0x20 }, "\(name): \(text)")
                    #expect(text.utf8.count < 600, "\(name): \(text)")
                case .compacted: #expect(file.hasPrefix("compacted"), "\(name)")
                }
            }
        }
        await store.close()
    }

    @Test("there are such files")
    func hasFiles() { #expect(Self.files.count > 15) }

    @Test(
        "an answer without an end is cut off at its bound",
        arguments: ["Transfer-Encoding: chunked\r\n\r\n", "Content-Length: 99999999999\r\n\r\n", "X: "]
    )
    func endless(start: String) async throws {
        let chunk = Array(("1000\r\n" + String(repeating: "[", count: 0x1000) + "\r\n").utf8)
        let sent = Mailbox<Int>()
        let gateway = try ScriptedGateway { exchange in
            try exchange.socket.send("HTTP/1.1 200 OK\r\n\(start)")
            var count = 0
            defer { sent.put(count) }
            while count < 64 << 20 {
                try exchange.socket.send(chunk)
                count += chunk.count
            }
            return false
        }
        let store = try EtcdClaimStore(.testing([gateway.url]), logger: .silent)
        for (name, run) in Self.operations {
            do {
                try await run(store)
                Issue.record("\(name) has an end")
            } catch {
                guard case .malformed = error else {
                    Issue.record("\(name): \(error)")
                    continue
                }
            }
            #expect(try await sent.next("the end of sending") < 32 << 20, "\(name)")
        }
        await store.close()
    }

    @Test("a store that has gone back to an older revision has to be read again")
    func olderStore() async throws {
        let gateway = try ScriptedGateway { exchange in
            guard exchange.path == "/v3/watch" else {
                try exchange.answer(#"{"header":{"revision":"50"},"succeeded":true}"#)
                return true
            }
            try exchange.socket.send("HTTP/1.1 200 OK\r\n\r\n")
            try exchange.socket.send(#"{"result":{"header":{"revision":"49"},"created":true}}"# + "\n")
            try exchange.waitForEnd()
            return false
        }
        var configuration = try EtcdConfiguration.testing([gateway.url])
        configuration.probeInterval = .milliseconds(100)
        let store = try EtcdClaimStore(configuration, logger: .silent)
        let watch = WatchLog(store, .ports, from: Revision(100))
        #expect(try await watch.ends.next("the watch's end") == .compacted)
        await store.close()
    }

    @Test("an endless row of pages ends")
    func endlessPages() async throws {
        let gateway = try ScriptedGateway { exchange in
            try exchange.answer(
                #"{"header":{"revision":"5"},"kvs":[{"key":"Y3VsdmVydC9wb3J0cy8="}],"count":"9","more":true}"#
            )
            return true
        }
        let store = try EtcdClaimStore(.testing([gateway.url]), logger: .silent)
        await #expect(throws: StoreFailure.malformed("\(gateway.url) answered with a page that does not lead on")) {
            try await store.read(.ports)
        }
        await store.close()
    }

    @Test("a reader that is too slow loses its watch, and no memory")
    func slowReader() async throws {
        let ended = Mailbox<Bool>()
        let gateway = try ScriptedGateway { exchange in
            try exchange.socket.send("HTTP/1.1 200 OK\r\n\r\n")
            try exchange.socket.send(#"{"result":{"header":{"revision":"1"},"created":true}}"# + "\n")
            for revision in 1...2_000 {
                let event =
                    #"{"type":"DELETE","kv":{"key":"Y3VsdmVydC9zZXJ2ZXJzLzAwMDAwMDA3","mod_revision":"\#(revision)"}}"#
                try exchange.socket.send(#"{"result":{"events":[\#(event)]}}"# + "\n")
            }
            try exchange.waitForEnd()
            ended.put(true)
            return false
        }
        let store = try EtcdClaimStore(.testing([gateway.url]), logger: .silent)
        let stream = store.watch(.servers, from: Revision(1))
        _ = try await ended.next("the end of the watch's connection")
        var count = 0
        do {
            for try await event in stream {
                count += 1
                #expect(event == .changed([.serverGone(ServerID(7))], at: Revision(Int64(count))))
            }
            Issue.record("the watch has no failure")
        } catch {
            #expect(error as? StoreFailure == .unreachable("\(gateway.url): the watch brings more than is read"))
        }
        #expect(count == 1_024)
        await store.close()
    }

    @Test("a password and a token that an endpoint sends back are not in the failure")
    func secrets() async throws {
        let gateway = try ScriptedGateway { exchange in
            if exchange.path == "/v3/auth/authenticate" {
                try exchange.answer(#"{"token":"a-secret-token.7"}"#)
            } else {
                try exchange.answer(
                    #"{"message":"pass word and a-secret-token.7 are \u001b[1m wrong","code":3}"#,
                    status: "400 Bad Request"
                )
            }
            return true
        }
        var configuration = try EtcdConfiguration.testing([gateway.url])
        (configuration.user, configuration.password) = ("culvert", "pass word")
        let store = try EtcdClaimStore(configuration, logger: .silent)
        await #expect(
            throws: StoreFailure.malformed("\(gateway.url): it answered: … and … are \\u{1B}[1m wrong")
        ) { try await store.read(.ports) }
        await store.close()
    }
}
