import Logging
import NIOCore
import NIOPosix
import NetworkAddress
import TestSupport
import Testing

@testable import Mux
@testable import TunnelCore

@Suite("Connections to one of several addresses")
struct TCPEgressTests {
    private let loop: any EventLoop = MultiThreadedEventLoopGroup.singleton.next()

    /// Connects for a new stream.
    private func connect(
        to addresses: [String],
        _ port: UInt16,
        within timeout: TimeAmount = .hours(1)
    ) async throws -> any Channel {
        let addresses = addresses.compactMap { IPAddress($0) }
        return try await loop.flatSubmit { [loop] in
            let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            let session = SessionLoop(
                session: Session(role: .client, peerWindow: 65_536, seed: 1, now: .now),
                carrier: FakeCarrier(),
                loop: loop,
                pollsBusily: false,
                memory: MemoryBudget(),
                logger: logger
            )
            let statistics = TunnelStatistics(tunnel: 0, role: .client, totals: TrafficTotals())
            let identity = StreamIdentity(visitor: "192.0.2.1:40001", statistics: statistics)
            let pipe = StreamPipe(session: session, stream: StreamID(2), identity: identity, logger: logger) { _ in }
            return TCPEgress(addresses: addresses, port: port, loop: loop, timeout: timeout).connect(for: pipe)
        }.get()
    }

    @Test(
        "An address that does not answer delays the next one, and not until its timeout",
        .enabled(if: OwnAddress.ipv4 != nil, "needs an address besides loopback")
    )
    func silent() async throws {
        let own = try #require(OwnAddress.ipv4)
        let full = try FullListener()
        let service = try TCPService(port: full.port, address: own) { _ = try $0.receiveToEnd() }
        let channel = try await connect(to: ["127.0.0.1", own], service.port)
        #expect(channel.remoteAddress?.ipAddress == own)
        try await channel.close().get()
    }

    @Test(
        "An address that refuses the connection gives way to the next one at once",
        .enabled(if: OwnAddress.ipv4 != nil, "needs an address besides loopback")
    )
    func refusing() async throws {
        let own = try #require(OwnAddress.ipv4)
        let service = try TCPService(address: own) { _ = try $0.receiveToEnd() }
        let channel = try await connect(to: ["127.0.0.9", own], service.port)
        #expect(channel.remoteAddress?.ipAddress == own)
        try await channel.close().get()
    }

    @Test("If all addresses refuse the connection, or one does not answer, the failures are told apart")
    func failures() async throws {
        let unused = try FreePorts.next()
        let own = OwnAddress.ipv4 ?? "127.0.0.3"
        for addresses in [["127.0.0.1", "127.0.0.2"], ["127.0.0.1", own], [own]] {
            await #expect { try await connect(to: addresses, unused) } throws: { EgressFailure.code($0) == .refused }
        }
        let full = try FullListener()
        for addresses in [["127.0.0.1"], ["127.0.0.1", own]] where addresses != ["127.0.0.1", "127.0.0.3"] {
            await #expect {
                try await connect(to: addresses, full.port, within: .milliseconds(300))
            } throws: {
                EgressFailure.code($0) == .timeout
            }
        }
    }
}
