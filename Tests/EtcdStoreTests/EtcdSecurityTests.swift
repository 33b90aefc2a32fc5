import Cluster
import EtcdStore
import NIOSSL
import TestSupport
import Testing

/// TLS, certificates of clients, and users.
@Suite(
    "etcd with TLS and users",
    .serialized,
    .timeLimit(.minutes(3)),
    .enabled(if: Program.etcd.path != nil || TestRun.isCI, "not installed: etcd (apt-get install etcd-server)")
)
struct EtcdSecurityTests {
    private static func configuration(_ etcd: SecureEtcd) throws -> EtcdConfiguration {
        var configuration = try EtcdConfiguration.testing([etcd.url])
        configuration.authorities = try NIOSSLCertificate.fromPEMFile(etcd.authority)
        try configuration.use(etcd.client)
        (configuration.user, configuration.password) = (etcd.user, etcd.password)
        configuration.prefix = etcd.prefix
        return configuration
    }

    private static func store(
        _ etcd: SecureEtcd,
        _ change: (inout EtcdConfiguration) throws -> Void = { _ in }
    ) throws -> EtcdClaimStore {
        var configuration = try configuration(etcd)
        try change(&configuration)
        return try EtcdClaimStore(configuration, logger: .silent)
    }

    /// The failure of a read, and of a watch, which must be alike.
    private static func failure(of store: EtcdClaimStore) async throws -> StoreFailure {
        defer { Task { await store.close() } }
        let watch = WatchLog(store, .ports, from: Revision(1))
        let end = try await watch.ends.next("the watch's end")
        do {
            _ = try await store.read(.ports)
            throw ScenarioFailure(description: "the read has no failure")
        } catch let failure as StoreFailure {
            switch (end, failure) {
            case (.unreachable?, .unreachable), (.refused?, .refused), (.malformed?, .malformed): break
            default: Issue.record("the watch ends with \(end.map { "\($0)" } ?? "nothing"), the read with \(failure)")
            }
            return failure
        }
    }

    @Test("a user with a certificate claims, reads and watches")
    func works() async throws {
        try await Scenario.run { scenario in
            let etcd = try await SecureEtcd.start(in: scenario)
            let store = try Self.store(etcd)
            let rig = StoreRig(store: store) {}
            let lease = try await store.grantLease(seconds: 60)
            let held = try await rig.granted(TestClient("a").claim(.tcp(80)), lease)
            #expect(try await store.keepAlive(lease))
            let watch = WatchLog(store, .ports, from: held.epoch)
            #expect(try await watch.next() == [.claim(held)])

            // Tokens end, and the login is repeated: for a request, and for a watch.
            for port: UInt16 in [81, 82] {
                try await etcd.control(["auth", "disable"])
                try await etcd.enableUsers()
                if port == 81 {
                    let next = WatchLog(store, .ports, from: held.epoch)
                    #expect(try await next.next() == [.claim(held)])
                    await next.cancel()
                }
                try await rig.granted(TestClient("a").claim(.tcp(port)), lease)
                #expect(try await watch.next().count == 1)
            }
            try await store.revoke(lease)
            #expect(try await watch.next(3).count == 3)
            await watch.cancel()
            await store.close()

            // Without authentication, the login is not needed.
            try await etcd.control(["auth", "disable"])
            let open = try Self.store(etcd)
            #expect(try await open.read(.ports).claims.isEmpty)
            await open.close()
        }
    }

    @Test("a wrong password, another prefix, no user, no CA and no certificate are told apart")
    func refused() async throws {
        try await Scenario.run { scenario in
            let etcd = try await SecureEtcd.start(in: scenario)
            let wrong = try await Self.failure(of: Self.store(etcd) { $0.password = "wrong-password" })
            #expect(
                wrong
                    == .refused(
                        "\(etcd.url): it answered: etcdserver: authentication failed, invalid user ID or password"
                    )
            )
            let prefix = try await Self.failure(of: Self.store(etcd) { $0.prefix = "other/" })
            guard case .refused(let text) = prefix else { throw prefix }
            #expect(text.hasSuffix("permission denied"), "\(text)")
            let anonymous = try await Self.failure(of: Self.store(etcd) { $0.user = nil })
            guard case .refused = anonymous else { throw anonymous }

            let untrusted = try await Self.failure(of: Self.store(etcd) { $0.authorities = [] })
            guard case .unreachable(let text) = untrusted else { throw untrusted }
            #expect(text.hasPrefix("\(etcd.url): the certificate of localhost"), "\(text)")
            #expect(text.firstRange(of: "Culvert test CA") != nil, "\(text)")
            let uncertified = try await Self.failure(
                of: Self.store(etcd) {
                    $0.certificateChain = []
                    $0.privateKey = nil
                }
            )
            guard case .refused(let text) = uncertified else { throw uncertified }
            #expect(text.firstRange(of: "certificate") != nil, "\(text)")
            let named = try await Self.failure(of: Self.store(etcd) { try $0.use(etcd.namedClient) })
            guard case .refused(let text) = named else { throw named }
            #expect(text.hasPrefix("\(etcd.url): it answered: 400 CommonName of client"), "\(text)")
            let plain = try await Self.failure(
                of: Self.store(etcd) { $0.endpoints = [try EtcdEndpoint(etcd.url.replacing("https", with: "http"))] }
            )
            guard case .unreachable = plain else { throw plain }
        }
    }
}

extension EtcdConfiguration {
    fileprivate mutating func use(_ certificate: IssuedCertificate) throws {
        certificateChain = try NIOSSLCertificate.fromPEMFile(certificate.certificate).map { .certificate($0) }
        privateKey = .privateKey(try NIOSSLPrivateKey(file: certificate.key, format: .pem))
    }
}
