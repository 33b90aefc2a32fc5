import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// Sessions through proxies that end TLS with a certificate of their own, whose CA the client trusts.
    @Suite(.serialized)
    struct InspectedTests {
        private static let client = "laptop-of-alma"

        /// A server with TLS and host names, and an inspector.
        private struct Path {
            let names: NameServer
            let serverAuthority: String
            /// The CA of the inspector.
            let inspector: IssuedCertificate

            init(_ scenario: Scenario) async throws {
                let certificate = try await Certificate.make(in: scenario)
                names = try await NameServer.start(
                    in: scenario,
                    options: ["--tls-certificate", certificate.certificate, "--tls-key", certificate.key]
                )
                serverAuthority = certificate.authority
                inspector = try await IssuedCertificate.make(
                    .authority("Office inspection CA"),
                    in: scenario,
                    named: "inspection"
                )
            }

            /// The URL's host and port, which every proxy sees.
            var authority: String { "localhost:\(names.server.port)" }

            func client(_ scenario: Scenario, _ remotes: [String], proxy: String, isSealed: Bool = true) throws
                -> CulvertClient
            {
                try scenario.client(
                    "wss://\(authority)/tunnel",
                    remotes,
                    options: [
                        "--proxy", proxy, "--ca", inspector.certificate, "--name", InspectedTests.client,
                        "--encryption", isSealed ? "required" : "off",
                    ]
                )
            }
        }

        // MARK: Squid

        @Test(
            "ssh, files and a host name through a Squid that inspects TLS: all exact, and its logs have the upgrade alone",
            .needs(.squid, .squidCertificates, .openssl, .python, .nginx, .curl, .sshd, .ssh, .sshKeygen, .scp),
            .timeLimit(.minutes(15))
        )
        func squid() async throws {
            try await Scenario.run { scenario in
                let path = try await Path(scenario)
                let squid = try await Squid.inspecting(
                    in: scenario,
                    path.inspector,
                    serverAuthority: path.serverAuthority
                )
                let traffic = try await InspectedTraffic.start(in: scenario)
                let client = try path.client(scenario, traffic.remotes, proxy: squid.url)
                let secrets = try await traffic.run(client, path.names, scenario)
                try await Self.expectNothing(of: secrets.readable + secrets.others, in: squid, path, client, scenario)
            }
        }

        // Optional in CI too, because the package is large.
        @Test(
            "The dump of a database through a Squid that inspects TLS is complete, and its logs have nothing of it",
            .needs(.squid, .squidCertificates, .openssl, .python),
            .enabled(if: Postgres.isInstalled, "not installed: postgres (apt-get install postgresql)")
        )
        func squidDump() async throws {
            try await Scenario.run { scenario in
                let path = try await Path(scenario)
                let squid = try await Squid.inspecting(
                    in: scenario,
                    path.inspector,
                    serverAuthority: path.serverAuthority
                )
                let database = try await InspectedDatabase.start(in: scenario)
                let client = try path.client(scenario, [database.remote], proxy: squid.url)
                let secrets = try await database.dump(client, scenario)
                try await Self.expectNothing(of: secrets.readable + secrets.others, in: squid, path, client, scenario)
            }
        }

        /// Ends the client, and requires that Squid has logged the upgrade and none of the secrets.
        private static func expectNothing(
            of secrets: [Needle],
            in squid: Squid,
            _ path: Path,
            _ client: CulvertClient,
            _ scenario: Scenario
        ) async throws {
            #expect(client.process.errors.text.contains("sealed="))
            #expect(!client.process.errors.text.contains("sealed=no"))
            await client.process.end()
            try await eventually("Squid logs the upgrade that it has read", found: { squid.log }) {
                squid.log.contains("/101 GET https://\(path.authority)/tunnel")
            }
            let (url, field) = (Needle("https://\(path.authority)/tunnel"), Needle("Sec-WebSocket-Key"))
            let port = Needle(path.names.server.port)
            let needles = secrets + [Needle(Self.client), url, port, field]
            let found = try await Needle.search(needles, in: squid.folder, scenario)
            // The search finds what Squid has read: the URL with its port, and the fields of the upgrade.
            for needle in [url, port] { #expect(found.files[needle]?.contains("access.log") == true, "\(needle)") }
            #expect(found.files[field]?.isSuperset(of: ["access.log", "cache.log"]) == true)
            #expect(found.files.count == 3, "\(found.files)")
        }

        // MARK: A proxy that records

        @Test(
            "ssh, files and a host name through a proxy that records: all exact, and nothing of them in its records",
            .needs(.python, .openssl, .nginx, .curl, .sshd, .ssh, .sshKeygen, .scp),
            .timeLimit(.minutes(15)),
            arguments: [true, false]
        )
        func recorded(isSealed: Bool) async throws {
            try await Scenario.run { scenario in
                let path = try await Path(scenario)
                let proxy = try await RecordingProxy.start(in: scenario, path.inspector)
                let traffic = try await InspectedTraffic.start(in: scenario)
                let client = try path.client(scenario, traffic.remotes, proxy: proxy.url, isSealed: isSealed)
                let secrets = try await traffic.run(client, path.names, scenario)
                let bytes = try await Self.expect(secrets, areFound: !isSealed, by: proxy, path, scenario)
                #expect(bytes > 2 * InspectedTraffic.bytes)
                await client.process.end()
            }
        }

        // Optional in CI too, because the package is large.
        @Test(
            "The dump of a database through a proxy that records is complete, and nothing of it is in the records",
            .needs(.python, .openssl),
            .enabled(if: Postgres.isInstalled, "not installed: postgres (apt-get install postgresql)"),
            arguments: [true, false]
        )
        func recordedDump(isSealed: Bool) async throws {
            try await Scenario.run { scenario in
                let path = try await Path(scenario)
                let proxy = try await RecordingProxy.start(in: scenario, path.inspector)
                let database = try await InspectedDatabase.start(in: scenario)
                let client = try path.client(scenario, [database.remote], proxy: proxy.url, isSealed: isSealed)
                let secrets = try await database.dump(client, scenario)
                let bytes = try await Self.expect(secrets, areFound: !isSealed, by: proxy, path, scenario)
                #expect(bytes > InspectedDatabase.bytes)
                await client.process.end()
            }
        }

        /// Requires that the records have none of the secrets, or all that are readable.
        ///
        /// - Returns: the bytes of the records.
        private static func expect(
            _ secrets: InspectedTraffic.Secrets,
            areFound: Bool,
            by proxy: RecordingProxy,
            _ path: Path,
            _ scenario: Scenario
        ) async throws -> Int {
            // The upgrade has the authority too, and there it is no secret.
            let authority = Needle(path.authority)
            let readable = secrets.readable + [Needle(Self.client), authority]
            let found = try await Needle.search(readable + secrets.others, in: proxy.folder, scenario)
            let inHeads = found.files.filter { needle, files in
                needle != authority && files.contains { $0.hasSuffix(".heads") }
            }
            #expect(inHeads.isEmpty, "\(inHeads)")
            #expect(found.files[authority]?.contains { $0.hasSuffix(".heads") } == true)
            let inMessages = found.files.filter { $0.value.contains { !$0.hasSuffix(".heads") } }
            if areFound {
                let missing = readable.filter { inMessages[$0] == nil }
                #expect(missing.isEmpty, "\(missing)")
            } else {
                #expect(inMessages.isEmpty, "\(inMessages)")
            }
            return found.bytes
        }
    }
}
