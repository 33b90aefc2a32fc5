import Foundation
import NIOCore
import NIOPosix
import Synchronization
import TestSupport
import Testing

@testable import TunnelClient
@testable import TunnelCore

@Suite("Lookups of names outside the event loops")
struct HostNamesTests {
    /// A resolver in which names that begin with "slow" wait for the gate.
    private final class Names: Sendable {
        let gate = Gate()
        let asked = Mailbox<String>()
        let answer: Mutex<String>

        init(_ answer: String = "192.0.2.1") {
            self.answer = Mutex(answer)
        }

        func service(_ limits: NameLimits = HostNamesTests.untimed, configuration: String = "/nonexistent")
            -> HostNames
        {
            HostNames(limits, configuration: configuration) { [self] name in
                asked.put(name)
                let answer = answer.withLock { $0 }
                if name.hasPrefix("slow") { gate.wait() }
                return Result { [try SocketAddress(ipAddress: answer, port: 0)] }.mapError { _ in .notFound }
            }
        }
    }

    /// Limits with which no answer expires and no second lookup begins during a test.
    fileprivate static var untimed: NameLimits {
        var limits = NameLimits()
        (limits.validity, limits.patience) = (.seconds(600), .seconds(600))
        return limits
    }

    private let loop = MultiThreadedEventLoopGroup.singleton.next()

    @Test("Twenty requests for a slow name use one thread, and a fast name is answered meanwhile")
    func slowName() async throws {
        let names = Names()
        let service = names.service()
        let waiting = (0..<20).map { _ in service.addresses(of: "slow.test", for: .service, on: loop).0 }
        let quick = service.addresses(of: "quick.test", for: .service, on: loop).0
        #expect(try await quick.get() == [SocketAddress(ipAddress: "192.0.2.1", port: 0)])
        #expect(service.threads == 1)
        names.gate.open()
        for answer in waiting { #expect(try await answer.get().count == 1) }
        #expect(names.asked.all.sorted() == ["quick.test", "slow.test"])
    }

    @Test("Names are compared without case")
    func caseInsensitive() async throws {
        let names = Names()
        let service = names.service()
        _ = try await service.addresses(of: "A.test", for: .service, on: loop).0.get()
        _ = try await service.addresses(of: "a.TEST", for: .service, on: loop).0.get()
        #expect(names.asked.all == ["a.test"])
    }

    @Test("An address needs no lookup", arguments: ["127.0.0.1", "::1", "192.0.2.7", "2001:db8::1"])
    func literal(text: String) async throws {
        let names = Names()
        let found = try await names.service().addresses(of: text, for: .service, on: loop).0.get()
        #expect(found == [try SocketAddress(ipAddress: text, port: 0)])
        #expect(names.asked.all.isEmpty)
    }

    @Test(
        "An invalid name is refused without a lookup",
        arguments: [
            "", "a\u{0}b", "\u{0}", "a b", "a\nb", "\u{7F}", String(repeating: "a", count: 254),
            String(repeating: "a.", count: 5_000),
        ]
    )
    func unusable(text: String) async throws {
        let names = Names()
        await #expect(throws: NameFailure.unusable) {
            try await names.service().addresses(of: text, for: .carrier, on: loop).0.get()
        }
        #expect(names.asked.all.isEmpty)
        #expect(SystemLookup.addresses(of: text) == .failure(.unusable))
    }

    @Test("A name of 253 characters is looked up")
    func longest() async throws {
        let names = Names()
        let name = String(repeating: "a", count: 253)
        #expect(try await names.service().addresses(of: name, for: .carrier, on: loop).0.get().count == 1)
        #expect(names.asked.all == [name])
        #expect(throws: NameFailure.self) { try SystemLookup.addresses(of: name).get() }
    }

    @Test("A cancelled request ends, and its lookup continues")
    func cancelled() async throws {
        let names = Names()
        let service = names.service()
        let (answer, ticket) = service.addresses(of: "slow.test", for: .service, on: loop)
        service.cancel(try #require(ticket))
        await #expect(throws: CancellationError.self) { try await answer.get() }
        #expect(service.threads == 1)
        names.gate.open()
        try await eventually("the thread is free") { service.threads == 0 }
    }

    @Test("A changed resolv.conf drops cached answers, and repeats pending lookups")
    func changedConfiguration() async throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("resolv-\(UUID().uuidString)")
        try "nameserver 192.0.2.53\n".write(to: file, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(at: file) }
        // Only the change drops cached answers.
        let names = Names("192.0.2.1")
        let service = names.service(configuration: file.path)
        _ = try await service.addresses(of: "known.test", for: .service, on: loop).0.get()
        let waiting = service.addresses(of: "slow.test", for: .carrier, on: loop).0
        try await eventually("the lookup runs") { names.asked.all.contains("slow.test") }
        try await eventually("the configuration has been checked") { service.hasLooked }
        names.answer.withLock { $0 = "198.51.100.1" }
        try "nameserver 198.51.100.53\n".write(to: file, atomically: true, encoding: .utf8)
        try await eventually("the slow name is looked up again") { names.asked.all.count { $0 == "slow.test" } == 2 }
        names.gate.open()
        let expected = try SocketAddress(ipAddress: "198.51.100.1", port: 0)
        #expect(try await waiting.get() == [expected])
        #expect(try await service.addresses(of: "known.test", for: .service, on: loop).0.get() == [expected])
    }

    @Test("The system's resolver resolves localhost, and reports a name that does not exist")
    func system() throws {
        let found = try SystemLookup.addresses(of: "localhost").get()
        #expect(found.allSatisfy { $0.ip?.isLoopback == true })
        #expect(!found.isEmpty)
        #expect(throws: NameFailure.self) { try SystemLookup.addresses(of: "nowhere.invalid").get() }
    }

    @Test("NIO gets both address families from one lookup, with the port, and can time out during it")
    func resolver() async throws {
        let both = [
            try SocketAddress(ipAddress: "192.0.2.1", port: 0), try SocketAddress(ipAddress: "2001:db8::1", port: 0),
        ]
        let asked = Mailbox<String>()
        let gate = Gate()
        let service = HostNames(Self.untimed, configuration: "/nonexistent") { name in
            asked.put(name)
            if name.hasPrefix("slow") { gate.wait() }
            return .success(both)
        }
        let resolver = HostResolver(service, for: .service, on: loop)
        let six = try await resolver.initiateAAAAQuery(host: "both.test", port: 443).get()
        #expect(six == [try SocketAddress(ipAddress: "2001:db8::1", port: 443)])
        let four = try await resolver.initiateAQuery(host: "both.test", port: 443).get()
        #expect(four == [try SocketAddress(ipAddress: "192.0.2.1", port: 443)])
        #expect(asked.all == ["both.test"])
        let bootstrap = ClientBootstrap(group: loop).connectTimeout(.milliseconds(20))
            .resolver(HostResolver(service, for: .service, on: loop))
        await #expect(throws: ChannelError.self) { try await bootstrap.connect(host: "slow.test", port: 1).get() }
        gate.open()
        try await eventually("the thread is free") { service.threads == 0 }
    }

    @Test("A service whose name is not answered delays neither other services nor carriers")
    func slowService() async throws {
        let gate = Gate()
        let asked = Mailbox<String>()
        let names = HostNames(Self.untimed, configuration: "/nonexistent") { name in
            asked.put(name)
            if name == "slow.test" { gate.wait() }
            return Result { [try SocketAddress(ipAddress: "127.0.0.1", port: 0)] }.mapError { _ in .notFound }
        }
        defer { gate.open() }
        let echo = try TCPService.echo()
        try await RunningServer.with { server in
            let configure: (inout ClientConfiguration) -> Void = { configuration in
                configuration.tunnels = ["slow.test", "quick.test"].compactMap {
                    try? TunnelSpec("0:\($0):\(echo.port)")
                }
                if let url = try? EndpointURL("ws://server.test:\(server.port)") { configuration.endpoints = [url] }
            }
            try await RunningClient.with(.alice, server.port, "0:9", names: names, configure: configure) { client in
                let ports = try await [
                    Self.port(of: client.tunnels.next("the first tunnel is public")),
                    Self.port(of: client.tunnels.next("the second tunnel is public")),
                ]
                let visitors = try (0..<20).map { _ in try TCPSocket(port: ports[0]) }
                try await eventually("the slow name is looked up") { asked.all.contains("slow.test") }
                try await expectEcho(through: ports[1])
                #expect(names.threads == 1)
                #expect(asked.all.sorted() == ["quick.test", "server.test", "slow.test"])
                for visitor in visitors { visitor.close() }
            }
        }
    }

    private static func port(of url: String) throws -> UInt16 {
        try #require(UInt16(url.split(separator: ":").last ?? ""))
    }
}
